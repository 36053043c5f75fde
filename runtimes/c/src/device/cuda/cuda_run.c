/* The steps of a segment, one by one or as a graph that was recorded. */
#include <stdio.h>

#include "base/ticks.h"
#include "device/cuda/cuda_queue.h"

#define STEP_BYTES 96 /* of a message, for what failed */

static const cu_api* api_of(const cuda_queue* q) { return q->device->target.cu; }

static ossc_status check_step(const cuda_queue* q, int32_t error, const plan_step* step) {
  char what[STEP_BYTES];
  snprintf(what, sizeof(what), "run the step %s", step->label);
  return cuda_queue_check(q, error, what);
}

static int32_t launch_step(const cuda_queue* q, const plan_step* step, int32_t rows) {
  const plan_device_kernel* k = &step->device_kernel;
  cu_address addresses[PLAN_MAX_STEP_TENSORS];
  void* arguments[PLAN_MAX_STEP_TENSORS + 1];
  uint32_t groups[3];
  for (uint32_t i = 0; i < step->num_tensors; ++i) {
    addresses[i] = cuda_queue_address(q, step->tensors[i]);
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
  if (error != CU_SUCCESS) return cuda_queue_check(q, error, "record the steps of a token");
  ossc_status status = launch_steps(q, segment, all, 1);
  error = api_of(q)->cuStreamEndCapture(q->stream, graph_out); /* in any case */
  return status == OSSC_OK ? cuda_queue_check(q, error, "record the steps of a token") : status;
}

static ossc_status make_graph(const cuda_queue* q, const plan_segment* segment,
                              cu_graph_exec* exec_out) {
  cu_graph graph = NULL;
  cu_graph_exec exec = NULL;
  ossc_status status = record(q, segment, &graph);
  if (status == OSSC_OK) {
    int32_t error = api_of(q)->cuGraphInstantiateWithFlags(&exec, graph, 0);
    status = cuda_queue_check(q, error, "prepare the steps of a token");
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
  return cuda_queue_check(q, api_of(q)->cuGraphLaunch(*exec, q->stream),
                          "run the steps of a token");
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
  if (error == CU_SUCCESS) error = cuda_queue_wait(q);
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

ossc_status cuda_run(cuda_queue* q, const plan_segment* segment, step_range steps, int32_t rows,
                     thread_ticks ticks) {
  bool all_of_a_row = segment->max_tokens == 1 && steps.count == segment->num_steps;
  if (ticks.first != NULL) return run_timed_step(q, &segment->steps[steps.first], rows, ticks);
  return all_of_a_row ? run_graph(q, segment) : launch_steps(q, segment, steps, rows);
}
