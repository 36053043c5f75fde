#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cpu/cpu_device.h"
#include "device/cpu/kernel_call.h"
#include "device/host/thread_pool.h"

typedef struct cpu_queue {
  device_queue base;
  const cpu_device* device;
  thread_pool* pool;
  memory* spaces;     /* [plan.num_spaces]; empty where a space is weights */
  workspace scratch;  /* of the thread that calls */
  DLTensor* tensors;  /* [plan.num_tensors] */
  int64_t* shapes;    /* [plan.num_tensors, PLAN_MAX_DIMENSIONS] */
  int32_t num_tokens; /* that the shapes are for */
} cpu_queue;

/* A step and the shapes it runs with: what a thread needs. */
typedef struct step_call {
  const plan_step* step;
  tvm_function function;
  DLTensor* tensors;
} step_call;

static void set_num_tokens(cpu_queue* q, int32_t num_tokens) {
  const plan* p = q->device->plan;
  if (q->num_tokens == num_tokens) return;
  q->num_tokens = num_tokens;
  for (uint32_t i = 0; i < p->num_tensors; ++i) {
    const plan_tensor* tensor = &p->tensors[i];
    for (int d = 0; d < tensor->num_dimensions; ++d) {
      if (tensor->shape[d] == PLAN_N_TOKENS) q->tensors[i].shape[d] = num_tokens;
    }
  }
}

static void describe_tensors(cpu_queue* q) {
  const plan* p = q->device->plan;
  for (uint32_t i = 0; i < p->num_tensors; ++i) {
    const plan_tensor* tensor = &p->tensors[i];
    bool is_weights = p->spaces[tensor->space].use == PLAN_WEIGHTS;
    const memory* space = &(is_weights ? q->device->weights : q->spaces)[tensor->space];
    int64_t* shape = q->shapes + (size_t)i * PLAN_MAX_DIMENSIONS;
    memcpy(shape, tensor->shape, sizeof(tensor->shape));
    q->tensors[i] = (DLTensor){
        .data = (char*)space->data + tensor->offset_bytes,
        .device = {DL_CPU, 0},
        .ndim = tensor->num_dimensions,
        .dtype = kernel_data_type(tensor->dtype),
        .shape = shape,
    };
  }
}

static ossc_status allocate_spaces(cpu_queue* q) {
  const plan* p = q->device->plan;
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    const plan_space* space = &p->spaces[i];
    const char* what = space->use == PLAN_STATE ? "the KV cache" : "a session";
    if (space->use == PLAN_WEIGHTS) continue;
    status = memory_allocate(space->size_bytes, what, &q->spaces[i]);
  }
  return status;
}

static ossc_status allocate(cpu_queue* q, int32_t threads) {
  const plan* p = q->device->plan;
  size_t count = (size_t)p->num_tensors + 1;
  q->tensors = calloc(count, sizeof(DLTensor));
  q->shapes = calloc(count * PLAN_MAX_DIMENSIONS, sizeof(int64_t));
  q->spaces = calloc((size_t)p->num_spaces + 1, sizeof(memory));
  if (q->tensors == NULL || q->shapes == NULL || q->spaces == NULL) {
    return fail_out_of_memory("a session");
  }
  ossc_status status = allocate_spaces(q);
  return status == OSSC_OK ? thread_pool_create(threads, &q->pool) : status;
}

ossc_status cpu_queue_start(const device* d, int32_t threads, device_queue** queue_out) {
  cpu_queue* q = calloc(1, sizeof(cpu_queue));
  if (q == NULL) return fail_out_of_memory("a session");
  *q = (cpu_queue){.base = {d->api, threads}, .device = (const cpu_device*)d};
  ossc_status status = allocate(q, threads);
  if (status != OSSC_OK) {
    cpu_queue_release(&q->base);
    return status;
  }
  q->base.threads = thread_pool_threads(q->pool);
  describe_tensors(q);
  *queue_out = &q->base;
  return OSSC_OK;
}

static ossc_status call_kernel(const step_call* call, const int32_t* range) {
  const plan_step* step = call->step;
  DLTensor* tensors[PLAN_MAX_STEP_TENSORS];
  for (uint32_t i = 0; i < step->num_tensors; ++i) tensors[i] = &call->tensors[step->tensors[i]];
  return kernel_call(step, call->function, tensors, range);
}

static ossc_status run_range(const void* context, int32_t begin, int32_t end) {
  const int32_t range[2] = {begin, end};
  return call_kernel(context, range);
}

static ossc_status run_step(cpu_queue* q, const plan_step* step, int32_t num_tokens,
                            thread_ticks ticks) {
  const plan_host_kernel* kernel = &step->host_kernel;
  step_call call = {step, q->device->kernels[step->number].function, q->tensors};
  if (!kernel->ranged) {
    if (ticks.first != NULL) ticks.first[1] = TICKS_UNTIL_THE_END;
    return call_kernel(&call, NULL);
  }
  int64_t tasks = kernel->tasks_fixed + (int64_t)kernel->tasks_per_token * num_tokens;
  return thread_pool_run(q->pool, run_range, &call, (int32_t)tasks, ticks);
}

ossc_status cpu_queue_run(device_queue* base, const plan_segment* segment, step_range steps,
                          int32_t num_tokens, thread_ticks ticks) {
  cpu_queue* q = (cpu_queue*)base;
  ossc_status status = OSSC_OK;
  set_num_tokens(q, num_tokens);
  workspace_bind(&q->scratch);
  for (uint32_t i = 0; i < steps.count && status == OSSC_OK; ++i) {
    status = run_step(q, &segment->steps[steps.first + i], num_tokens, ticks);
  }
  workspace_bind(NULL);
  return status;
}

static char* data_of(device_queue* q, uint32_t tensor) {
  return ((cpu_queue*)q)->tensors[tensor].data;
}

ossc_status cpu_queue_write(device_queue* q, uint32_t tensor, size_t at, const void* data,
                            size_t size) {
  memcpy(data_of(q, tensor) + at, data, size);
  return OSSC_OK;
}

ossc_status cpu_queue_read(device_queue* q, uint32_t tensor, size_t at, void* data_out,
                           size_t size) {
  memcpy(data_out, data_of(q, tensor) + at, size);
  return OSSC_OK;
}

ossc_status cpu_queue_copy(device_queue* q, uint32_t to, uint32_t from, size_t from_at,
                           size_t size) {
  memmove(data_of(q, to), data_of(q, from) + from_at, size);
  return OSSC_OK;
}

ossc_status cpu_queue_fill(device_queue* base, uint8_t byte) {
  cpu_queue* q = (cpu_queue*)base;
  const plan* p = q->device->plan;
  for (uint32_t i = 0; i < p->num_spaces; ++i) {
    if (p->spaces[i].use == PLAN_STATE) memset(q->spaces[i].data, byte, q->spaces[i].size_bytes);
  }
  return OSSC_OK;
}

ossc_status cpu_queue_finish(device_queue* q) {
  (void)q; /* every call returns when it is done */
  return OSSC_OK;
}

void cpu_queue_release(device_queue* base) {
  cpu_queue* q = (cpu_queue*)base;
  thread_pool_destroy(q->pool);
  workspace_free(&q->scratch);
  for (uint32_t i = 0; q->spaces != NULL && i < q->device->plan->num_spaces; ++i) {
    memory_free(&q->spaces[i]);
  }
  free(q->spaces);
  free(q->tensors);
  free(q->shapes);
  free(q);
}
