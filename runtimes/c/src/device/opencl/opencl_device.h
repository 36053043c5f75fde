/* A device behind an OpenCL driver, which runs the device kernels of a plan. */
#ifndef OSSC_OPENCL_DEVICE_H_
#define OSSC_OPENCL_DEVICE_H_

#include "device/device.h"
#include "device/opencl/cl_kernels.h"
#include "device/opencl/cl_space.h"

extern const device_api opencl_device_api;

typedef struct opencl_device {
  device base;
  const plan* plan;
  char* directory;
  cl_target target;
  cl_programs programs;
  cl_space* weights;  /* [plan.num_spaces]; empty where a space is no weights */
  cl_memory* tensors; /* [plan.num_tensors]; NULL where a tensor is no weights */
} opencl_device;

/* The entries of the api for queues. */
ossc_status opencl_queue_start(const device* d, int32_t threads, device_queue** queue_out);
ossc_status opencl_queue_run(device_queue* q, const plan_segment* segment, step_range steps,
                             int32_t num_tokens, thread_ticks ticks);
ossc_status opencl_queue_write(device_queue* q, uint32_t tensor, size_t at, const void* data,
                               size_t size);
ossc_status opencl_queue_read(device_queue* q, uint32_t tensor, size_t at, void* data_out,
                              size_t size);
ossc_status opencl_queue_copy(device_queue* q, uint32_t to, uint32_t from, size_t from_at,
                              size_t size);
ossc_status opencl_queue_fill(device_queue* q, uint8_t byte);
ossc_status opencl_queue_finish(device_queue* q);
void opencl_queue_release(device_queue* q);

#endif /* OSSC_OPENCL_DEVICE_H_ */
