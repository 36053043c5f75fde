#include "exec/executor.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cpu/kernel_call.h"

/* A step and the shapes it runs with: what a thread needs. */
typedef struct step_call {
  const plan_step* step;
  DLTensor* tensors;
} step_call;

static void set_num_tokens(executor* e, int32_t num_tokens) {
  if (e->num_tokens == num_tokens) return;
  e->num_tokens = num_tokens;
  for (uint32_t i = 0; i < e->plan->num_tensors; ++i) {
    const plan_tensor* tensor = &e->plan->tensors[i];
    for (int d = 0; d < tensor->num_dimensions; ++d) {
      if (tensor->shape[d] == PLAN_N_TOKENS) e->tensors[i].shape[d] = num_tokens;
    }
  }
}

static void describe_tensors(executor* e, const memory* weights) {
  char* bases[PLAN_NUM_SPACES] = {weights->data, e->state.data, e->arena.data};
  for (uint32_t i = 0; i < e->plan->num_tensors; ++i) {
    const plan_tensor* tensor = &e->plan->tensors[i];
    int64_t* shape = e->shapes + (size_t)i * PLAN_MAX_DIMENSIONS;
    memcpy(shape, tensor->shape, sizeof(tensor->shape));
    e->tensors[i] = (DLTensor){
        .data = bases[tensor->space] + tensor->offset_bytes,
        .device = {DL_CPU, 0},
        .ndim = tensor->num_dimensions,
        .dtype = kernel_data_type(tensor->dtype),
        .shape = shape,
    };
  }
}

static ossc_status allocate(executor* e) {
  size_t count = (size_t)e->plan->num_tensors + 1;
  e->tensors = calloc(count, sizeof(DLTensor));
  e->shapes = calloc(count * PLAN_MAX_DIMENSIONS, sizeof(int64_t));
  if (e->tensors == NULL || e->shapes == NULL) return fail_out_of_memory("a session");
  ossc_status status = memory_allocate(e->plan->space_bytes[PLAN_STATE], "the KV cache", &e->state);
  if (status != OSSC_OK) return status;
  return memory_allocate(e->plan->space_bytes[PLAN_ARENA], "a session", &e->arena);
}

ossc_status executor_create(const plan* p, const memory* weights, int32_t threads,
                            executor* executor_out) {
  executor e = {.plan = p};
  ossc_status status = allocate(&e);
  if (status == OSSC_OK) status = thread_pool_create(threads, &e.pool);
  if (status != OSSC_OK) {
    executor_destroy(&e);
    return status;
  }
  describe_tensors(&e, weights);
  *executor_out = e;
  return OSSC_OK;
}

void* executor_data(const executor* e, uint32_t tensor) { return e->tensors[tensor].data; }

static ossc_status call_kernel(const step_call* call, const int32_t* range) {
  const plan_step* step = call->step;
  DLTensor* tensors[PLAN_MAX_STEP_TENSORS];
  for (uint32_t i = 0; i < step->num_tensors; ++i) tensors[i] = &call->tensors[step->tensors[i]];
  return kernel_call(step, step->function, tensors, range);
}

static ossc_status run_range(const void* context, int32_t begin, int32_t end) {
  const int32_t range[2] = {begin, end};
  return call_kernel(context, range);
}

static ossc_status run_step(executor* e, const plan_step* step, int32_t num_tokens,
                            thread_ticks ticks) {
  step_call call = {step, e->tensors};
  if (!step->ranged) {
    if (ticks.first != NULL) ticks.first[1] = TICKS_UNTIL_THE_END;
    return call_kernel(&call, NULL);
  }
  int64_t tasks = step->tasks_fixed + (int64_t)step->tasks_per_token * num_tokens;
  return thread_pool_run(e->pool, run_range, &call, (int32_t)tasks, ticks);
}

static ossc_status run_steps(executor* e, const plan_segment* segment, int32_t num_tokens) {
  const thread_ticks not_wanted = {0};
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    status = run_step(e, &segment->steps[i], num_tokens, not_wanted);
  }
  return status;
}

static ossc_status record_steps(executor* e, const plan_segment* segment, int32_t num_tokens) {
  ossc_step_time identity = {.segment = (int32_t)(segment - e->plan->segments),
                             .num_tokens = num_tokens};
  ossc_status status = step_recorder_reserve(e->recorder, segment->num_steps);
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    identity.step = (int32_t)i;
    thread_ticks ticks = step_recorder_begin_step(e->recorder, identity);
    status = run_step(e, &segment->steps[i], num_tokens, ticks);
    step_recorder_end_step(e->recorder);
  }
  return status;
}

ossc_status executor_run(executor* e, const plan_segment* segment, int32_t num_tokens) {
  set_num_tokens(e, num_tokens);
  workspace_bind(&e->scratch);
  ossc_status status = e->recorder == NULL ? run_steps(e, segment, num_tokens)
                                           : record_steps(e, segment, num_tokens);
  workspace_bind(NULL);
  return status;
}

void executor_destroy(executor* e) {
  thread_pool_destroy(e->pool);
  workspace_free(&e->scratch);
  memory_free(&e->state);
  memory_free(&e->arena);
  free(e->tensors);
  free(e->shapes);
  *e = (executor){0};
}
