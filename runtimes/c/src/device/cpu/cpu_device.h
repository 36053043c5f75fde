/* The CPU that the runtime runs on: kernels of the program, threads, and memory of the process. */
#ifndef OSSC_CPU_DEVICE_H_
#define OSSC_CPU_DEVICE_H_

#include "device/cpu/kernel_table.h"
#include "device/host/memory.h"
#include "device/device.h"

extern const device_api cpu_device_api;

typedef struct cpu_device {
  device base;
  const plan* plan;
  char* directory;
  memory* weights;        /* [plan.num_spaces]; empty where a space is no weights */
  kernel_choice* kernels; /* [plan.num_steps] */
} cpu_device;

/* The entries of the api for queues. */
ossc_status cpu_queue_start(const device* d, int32_t threads, device_queue** queue_out);
ossc_status cpu_queue_run(device_queue* q, const plan_segment* segment, step_range steps,
                          int32_t num_tokens, thread_ticks ticks);
ossc_status cpu_queue_write(device_queue* q, uint32_t tensor, size_t at, const void* data,
                            size_t size);
ossc_status cpu_queue_read(device_queue* q, uint32_t tensor, size_t at, void* data_out,
                           size_t size);
ossc_status cpu_queue_copy(device_queue* q, uint32_t to, uint32_t from, size_t from_at,
                           size_t size);
ossc_status cpu_queue_fill(device_queue* q, uint8_t byte);
ossc_status cpu_queue_finish(device_queue* q);
void cpu_queue_release(device_queue* q);

#endif /* OSSC_CPU_DEVICE_H_ */
