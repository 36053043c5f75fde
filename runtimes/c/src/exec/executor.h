/* Runs the segments of a plan on the memory of one session. */
#ifndef OSSC_EXECUTOR_H_
#define OSSC_EXECUTOR_H_

#include "device/cpu/memory.h"
#include "bundle/plan.h"
#include "exec/step_recorder.h"
#include "device/cpu/thread_pool.h"

typedef struct executor {
  const plan* plan;
  thread_pool* pool;
  memory state, arena;
  workspace scratch;       /* of the thread that calls */
  DLTensor* tensors;       /* [plan.num_tensors] */
  int64_t* shapes;         /* [plan.num_tensors, PLAN_MAX_DIMENSIONS] */
  int32_t num_tokens;      /* that the shapes are for */
  step_recorder* recorder; /* of the call that runs; NULL: its times are not wanted */
} executor;

/* weights: mapped, at least as long as the plan says. Release it with executor_destroy. */
ossc_status executor_create(const plan* p, const memory* weights, int32_t threads,
                            executor* executor_out);

/* The memory of a tensor. */
void* executor_data(const executor* e, uint32_t tensor);

/* Runs all steps of a segment for 1 <= num_tokens <= segment->max_tokens rows. */
ossc_status executor_run(executor* e, const plan_segment* segment, int32_t num_tokens);

void executor_destroy(executor* e);

#endif /* OSSC_EXECUTOR_H_ */
