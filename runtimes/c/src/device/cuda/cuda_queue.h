/* A session's work on a CUDA device. */
#ifndef OSSC_CUDA_QUEUE_H_
#define OSSC_CUDA_QUEUE_H_

#include "device/clock.h"
#include "device/cuda/cu_staging.h"
#include "device/cuda/cuda_device.h"

typedef struct cuda_queue {
  device_queue base;
  const cuda_device* device;
  cu_stream stream;
  cu_staging staging;
  cu_space* spaces;      /* [plan.num_spaces]; empty where a space is weights */
  cu_graph_exec* graphs; /* [plan.num_segments]: all steps of one row; NULL until it first runs */
  cu_event begin, end;   /* of a step whose times are wanted; NULL until then */
  device_clock clock;
} cuda_queue;

/* Where a tensor begins. */
cu_address cuda_queue_address(const cuda_queue* q, uint32_t tensor);

/* Waits for all that was enqueued; after it, nothing that was staged is needed any more. */
int32_t cuda_queue_wait(cuda_queue* q);

/* OSSC_OK for CU_SUCCESS; else why the device cannot do something; see cu_check. */
ossc_status cuda_queue_check(const cuda_queue* q, int32_t error, const char* what);

/* Runs steps; the context is current. See device_api. */
ossc_status cuda_run(cuda_queue* q, const plan_segment* segment, step_range steps, int32_t rows,
                     thread_ticks ticks);

#endif /* OSSC_CUDA_QUEUE_H_ */
