/* A device behind NVIDIA's driver, which runs the device kernels of a plan. */
#ifndef OSSC_CUDA_DEVICE_H_
#define OSSC_CUDA_DEVICE_H_

#include "device/cuda/cu_functions.h"
#include "device/cuda/cu_space.h"
#include "device/device.h"

extern const device_api cuda_device_api;

typedef struct cuda_device {
  device base;
  const plan* plan;
  char* directory;
  cu_target target;
  cu_functions functions;
  cu_space* weights; /* [plan.num_spaces]; empty where a space is no weights */
} cuda_device;

/* The entries of the api for queues. */
ossc_status cuda_queue_start(const device* d, int32_t threads, device_queue** queue_out);
ossc_status cuda_queue_run(device_queue* q, const plan_segment* segment, step_range steps,
                           int32_t num_tokens, thread_ticks ticks);
ossc_status cuda_queue_write(device_queue* q, uint32_t tensor, size_t at, const void* data,
                             size_t size);
ossc_status cuda_queue_read(device_queue* q, uint32_t tensor, size_t at, void* data_out,
                            size_t size);
ossc_status cuda_queue_copy(device_queue* q, uint32_t to, uint32_t from, size_t from_at,
                            size_t size);
ossc_status cuda_queue_fill(device_queue* q, uint8_t byte);
ossc_status cuda_queue_finish(device_queue* q);
void cuda_queue_release(device_queue* q);

#endif /* OSSC_CUDA_DEVICE_H_ */
