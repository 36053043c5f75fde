#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/ticks.h"
#include "device/clock.h"
#include "device/cuda/cu_library.h"
#include "device/cuda/cu_staging.h"
#include "device/cuda/cuda_device.h"

#define STEP_BYTES 96 /* of a message, for what failed */

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

static const cu_target* target_of(const cuda_queue* q) { return &q->device->target; }

static const cu_api* api_of(const cuda_queue* q) { return q->device->target.cu; }

static ossc_status check_call(const cuda_queue* q, int32_t error, const char* what) {
  return cu_target_check(target_of(q), error, what);
}

static ossc_status check_step(const cuda_queue* q, int32_t error, const plan_step* step) {
  char what[STEP_BYTES];
  snprintf(what, sizeof(what), "run the step %s", step->label);
  return check_call(q, error, what);
}

/* After it, nothing that was staged is needed any more. */
static int32_t wait_for_all(cuda_queue* q) {
  q->staging.used = 0;
  return api_of(q)->cuStreamSynchronize(q->stream);
}

static cu_address address_of(const cuda_queue* q, uint32_t tensor) {
  const plan_tensor* t = &q->device->plan->tensors[tensor];
  bool is_weight = q->device->plan->spaces[t->space].use == PLAN_WEIGHTS;
  const cu_space* spaces = is_weight ? q->device->weights : q->spaces;
  return spaces[t->space].address + t->offset_bytes;
}

/* ---- start and release ---- */

static ossc_status allocate_spaces(cuda_queue* q) {
  const plan* p = q->device->plan;
  ossc_status status = OSSC_OK;
  q->spaces = calloc((size_t)p->num_spaces + 1, sizeof(cu_space));
  q->graphs = calloc((size_t)p->num_segments + 1, sizeof(cu_graph_exec));
  if (q->spaces == NULL || q->graphs == NULL) return fail_out_of_memory("a session");
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    if (p->spaces[i].use == PLAN_WEIGHTS) continue;
    status = cu_space_allocate(target_of(q), &p->spaces[i], &q->spaces[i]);
  }
  return status;
}

static ossc_status start_all(cuda_queue* q) {
  int32_t error = api_of(q)->cuStreamCreate(&q->stream, CU_STREAM_NON_BLOCKING);
  if (error != CU_SUCCESS) q->stream = NULL;
  if (error == CU_SUCCESS) error = cu_staging_open(target_of(q), &q->staging);
  ossc_status status = check_call(q, error, "start a queue");
  if (status == OSSC_OK) status = allocate_spaces(q);
  if (status == OSSC_OK) status = cuda_queue_fill(&q->base, 0);
  return status == OSSC_OK ? cuda_queue_finish(&q->base) : status;
}

ossc_status cuda_queue_start(const device* d, int32_t threads, device_queue** queue_out) {
  (void)threads; /* one hands out the work */
  cuda_queue* q = calloc(1, sizeof(cuda_queue));
  if (q == NULL) return fail_out_of_memory("a session");
  *q = (cuda_queue){.base = {d->api, 1},
                    .device = (const cuda_device*)d,
                    .clock = device_clock_start()};
  ossc_status status = cu_target_enter(target_of(q));
  if (status == OSSC_OK) {
    status = start_all(q);
    cu_target_leave(target_of(q));
  }
  if (status != OSSC_OK) {
    cuda_queue_release(&q->base);
    return status;
  }
  *queue_out = &q->base;
  return OSSC_OK;
}

static void release_events(cuda_queue* q) {
  if (q->begin != NULL) api_of(q)->cuEventDestroy_v2(q->begin);
  if (q->end != NULL) api_of(q)->cuEventDestroy_v2(q->end);
}

static void release_all(cuda_queue* q) {
  const plan* p = q->device->plan;
  if (q->stream != NULL) api_of(q)->cuStreamSynchronize(q->stream);
  release_events(q);
  for (uint32_t i = 0; q->graphs != NULL && i < p->num_segments; ++i) {
    if (q->graphs[i] != NULL) api_of(q)->cuGraphExecDestroy(q->graphs[i]);
  }
  for (uint32_t i = 0; q->spaces != NULL && i < p->num_spaces; ++i) {
    cu_space_free(target_of(q), &q->spaces[i]);
  }
  cu_staging_close(target_of(q), &q->staging);
  if (q->stream != NULL) api_of(q)->cuStreamDestroy_v2(q->stream);
}

/* Where the device was lost, the driver has freed all, and the calls fail. */
static void release_objects(cuda_queue* q) {
  if (cu_library_is_lost()) return;
  bool entered = cu_target_try_enter(target_of(q));
  release_all(q);
  if (entered) cu_target_leave(target_of(q));
}

void cuda_queue_release(device_queue* base) {
  cuda_queue* q = (cuda_queue*)base;
  release_objects(q);
  free(q->spaces);
  free(q->graphs);
  free(q);
}

/* ---- run ---- */

static int32_t launch_step(const cuda_queue* q, const plan_step* step, int32_t rows) {
  const plan_device_kernel* k = &step->device_kernel;
  cu_address addresses[PLAN_MAX_STEP_TENSORS];
  void* arguments[PLAN_MAX_STEP_TENSORS + 1];
  uint32_t groups[3];
  for (uint32_t i = 0; i < step->num_tensors; ++i) {
    addresses[i] = address_of(q, step->tensors[i]);
    arguments[i] = &addresses[i];
  }
  arguments[step->num_tensors] = &rows; /* taken where the kernel takes rows */
  for (int i = 0; i < 3; ++i) {
    groups[i] = (uint32_t)plan_count_groups(&k->grid[i], (uint32_t)rows);
  }
  return api_of(q)->cuLaunchKernel(q->device->functions.by_step[step->number], groups[0], groups[1],
                                   groups[2], k->block[0], k->block[1], k->block[2], 0, q->stream,
                                   arguments, NULL);
}

static ossc_status launch_steps(const cuda_queue* q, const plan_segment* segment, step_range steps,
                                int32_t rows) {
  for (uint32_t i = 0; i < steps.count; ++i) {
    const plan_step* step = &segment->steps[steps.first + i];
    int32_t error = launch_step(q, step, rows);
    if (error != CU_SUCCESS) return check_step(q, error, step);
  }
  return OSSC_OK;
}

/* Records the launches of a segment instead of doing them. */
static ossc_status record(const cuda_queue* q, const plan_segment* segment, cu_graph* graph_out) {
  const step_range all = {0, segment->num_steps};
  int32_t error = api_of(q)->cuStreamBeginCapture_v2(q->stream, CU_CAPTURE_THREAD_LOCAL);
  if (error != CU_SUCCESS) return check_call(q, error, "record the steps of a token");
  ossc_status status = launch_steps(q, segment, all, 1);
  error = api_of(q)->cuStreamEndCapture(q->stream, graph_out); /* in any case */
  return status == OSSC_OK ? check_call(q, error, "record the steps of a token") : status;
}

static ossc_status make_graph(const cuda_queue* q, const plan_segment* segment,
                              cu_graph_exec* exec_out) {
  cu_graph graph = NULL;
  cu_graph_exec exec = NULL;
  ossc_status status = record(q, segment, &graph);
  if (status == OSSC_OK) {
    int32_t error = api_of(q)->cuGraphInstantiateWithFlags(&exec, graph, 0);
    status = check_call(q, error, "prepare the steps of a token");
  }
  if (status == OSSC_OK) *exec_out = exec;
  if (graph != NULL) api_of(q)->cuGraphDestroy(graph);
  return status;
}

/* Steps for one row have the same arguments each time: the driver gets them once. */
static ossc_status run_graph(const cuda_queue* q, const plan_segment* segment) {
  cu_graph_exec* exec = &q->graphs[segment - q->device->plan->segments];
  ossc_status status = *exec == NULL ? make_graph(q, segment, exec) : OSSC_OK;
  if (status != OSSC_OK) return status;
  return check_call(q, api_of(q)->cuGraphLaunch(*exec, q->stream), "run the steps of a token");
}

static int32_t create_events(cuda_queue* q) {
  int32_t error = CU_SUCCESS;
  if (q->begin == NULL) error = api_of(q)->cuEventCreate(&q->begin, CU_EVENT_DEFAULT);
  if (error == CU_SUCCESS && q->end == NULL) {
    error = api_of(q)->cuEventCreate(&q->end, CU_EVENT_DEFAULT);
  }
  return error;
}

static int32_t time_step(cuda_queue* q, const plan_step* step, int32_t rows, float* ms_out) {
  int32_t error = create_events(q);
  if (error == CU_SUCCESS) error = api_of(q)->cuEventRecord(q->begin, q->stream);
  if (error == CU_SUCCESS) error = launch_step(q, step, rows);
  if (error == CU_SUCCESS) error = api_of(q)->cuEventRecord(q->end, q->stream);
  if (error == CU_SUCCESS) error = wait_for_all(q);
  return error == CU_SUCCESS ? api_of(q)->cuEventElapsedTime(ms_out, q->begin, q->end) : error;
}

static ossc_status run_timed_step(cuda_queue* q, const plan_step* step, int32_t rows,
                                  thread_ticks ticks) {
  float ms = 0;
  int64_t begin_ticks = ticks_now();
  int32_t error = time_step(q, step, rows, &ms);
  if (error == CU_SUCCESS) ticks.first[1] = device_clock_end(&q->clock, begin_ticks, ms * 1e6);
  return check_step(q, error, step);
}

static ossc_status run(cuda_queue* q, const plan_segment* segment, step_range steps, int32_t rows,
                       thread_ticks ticks) {
  bool all_of_a_row = segment->max_tokens == 1 && steps.count == segment->num_steps;
  if (ticks.first != NULL) return run_timed_step(q, &segment->steps[steps.first], rows, ticks);
  return all_of_a_row ? run_graph(q, segment) : launch_steps(q, segment, steps, rows);
}

ossc_status cuda_queue_run(device_queue* base, const plan_segment* segment, step_range steps,
                           int32_t num_tokens, thread_ticks ticks) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  status = run(q, segment, steps, num_tokens, ticks);
  cu_target_leave(target_of(q));
  return status;
}

/* ---- bytes ---- */

ossc_status cuda_queue_write(device_queue* base, uint32_t tensor, size_t at, const void* data,
                             size_t size) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = cu_staging_write(target_of(q), &q->staging, q->stream,
                                   address_of(q, tensor) + at, data, size);
  cu_target_leave(target_of(q));
  return check_call(q, error, "take input");
}

ossc_status cuda_queue_read(device_queue* base, uint32_t tensor, size_t at, void* data_out,
                            size_t size) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  cu_address from = address_of(q, tensor) + at;
  int32_t error = api_of(q)->cuMemcpyDtoHAsync_v2(data_out, from, size, q->stream);
  if (error == CU_SUCCESS) error = wait_for_all(q);
  cu_target_leave(target_of(q));
  return check_call(q, error, "give its results");
}

static ossc_status copy_by_host(device_queue* q, uint32_t to, uint32_t from, size_t from_at,
                                size_t size) {
  char* rows = malloc(size);
  if (rows == NULL) return fail_out_of_memory("rows of the hidden state");
  ossc_status status = cuda_queue_read(q, from, from_at, rows, size);
  if (status == OSSC_OK) status = cuda_queue_write(q, to, 0, rows, size);
  free(rows);
  return status;
}

ossc_status cuda_queue_copy(device_queue* base, uint32_t to, uint32_t from, size_t from_at,
                            size_t size) {
  cuda_queue* q = (cuda_queue*)base;
  cu_address begin = address_of(q, to), source = address_of(q, from) + from_at;
  if (begin < source + size && source < begin + size) {
    return copy_by_host(base, to, from, from_at, size);
  }
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = api_of(q)->cuMemcpyDtoDAsync_v2(begin, source, size, q->stream);
  cu_target_leave(target_of(q));
  return check_call(q, error, "copy rows");
}

static int32_t fill_spaces(const cuda_queue* q, uint8_t byte) {
  const plan* p = q->device->plan;
  int32_t error = CU_SUCCESS;
  for (uint32_t i = 0; i < p->num_spaces && error == CU_SUCCESS; ++i) {
    const cu_space* space = &q->spaces[i];
    if (p->spaces[i].use != PLAN_STATE || space->address == 0) continue;
    error = api_of(q)->cuMemsetD8Async(space->address, byte, space->size_bytes, q->stream);
  }
  return error;
}

ossc_status cuda_queue_fill(device_queue* base, uint8_t byte) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = fill_spaces(q, byte);
  cu_target_leave(target_of(q));
  return check_call(q, error, "fill the KV cache");
}

ossc_status cuda_queue_finish(device_queue* base) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = wait_for_all(q);
  cu_target_leave(target_of(q));
  return check_call(q, error, "finish its work");
}
