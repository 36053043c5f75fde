#include "device/cuda/cuda_queue.h"

#include <stdlib.h>

#include "base/error.h"
#include "device/cuda/cu_library.h"

static const cu_target* target_of(const cuda_queue* q) { return &q->device->target; }

static const cu_api* api_of(const cuda_queue* q) { return q->device->target.cu; }

ossc_status cuda_queue_check(const cuda_queue* q, int32_t error, const char* what) {
  return cu_target_check(target_of(q), error, what);
}

int32_t cuda_queue_wait(cuda_queue* q) {
  q->staging.used = 0;
  return api_of(q)->cuStreamSynchronize(q->stream);
}

cu_address cuda_queue_address(const cuda_queue* q, uint32_t tensor) {
  const plan_tensor* t = &q->device->plan->tensors[tensor];
  bool is_weight = q->device->plan->spaces[t->space].use == PLAN_WEIGHTS;
  const cu_space* spaces = is_weight ? q->device->weights : q->spaces;
  return spaces[t->space].address + t->offset_bytes;
}

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
  ossc_status status = cuda_queue_check(q, error, "start a queue");
  if (status == OSSC_OK) status = allocate_spaces(q);
  if (status == OSSC_OK) status = cuda_queue_fill(&q->base, 0);
  return status == OSSC_OK ? cuda_queue_finish(&q->base) : status;
}

ossc_status cuda_queue_start(const device* d, int32_t threads, device_queue** queue_out) {
  (void)threads; /* one hands out the work */
  cuda_queue* q = calloc(1, sizeof(cuda_queue));
  if (q == NULL) return fail_out_of_memory("a session");
  *q = (cuda_queue){
      .base = {d->api, 1}, .device = (const cuda_device*)d, .clock = device_clock_start()};
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

ossc_status cuda_queue_run(device_queue* base, const plan_segment* segment, step_range steps,
                           int32_t num_tokens, thread_ticks ticks) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  status = cuda_run(q, segment, steps, num_tokens, ticks);
  cu_target_leave(target_of(q));
  return status;
}

ossc_status cuda_queue_write(device_queue* base, uint32_t tensor, size_t at, const void* data,
                             size_t size) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = cu_staging_write(target_of(q), &q->staging, q->stream,
                                   cuda_queue_address(q, tensor) + at, data, size);
  cu_target_leave(target_of(q));
  return cuda_queue_check(q, error, "take input");
}

ossc_status cuda_queue_read(device_queue* base, uint32_t tensor, size_t at, void* data_out,
                            size_t size) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  cu_address from = cuda_queue_address(q, tensor) + at;
  int32_t error = api_of(q)->cuMemcpyDtoHAsync_v2(data_out, from, size, q->stream);
  if (error == CU_SUCCESS) error = cuda_queue_wait(q);
  cu_target_leave(target_of(q));
  return cuda_queue_check(q, error, "give its results");
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
  cu_address begin = cuda_queue_address(q, to), source = cuda_queue_address(q, from) + from_at;
  if (begin < source + size && source < begin + size) {
    return copy_by_host(base, to, from, from_at, size);
  }
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = api_of(q)->cuMemcpyDtoDAsync_v2(begin, source, size, q->stream);
  cu_target_leave(target_of(q));
  return cuda_queue_check(q, error, "copy rows");
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
  return cuda_queue_check(q, error, "fill the KV cache");
}

ossc_status cuda_queue_finish(device_queue* base) {
  cuda_queue* q = (cuda_queue*)base;
  ossc_status status = cu_target_enter(target_of(q));
  if (status != OSSC_OK) return status;
  int32_t error = cuda_queue_wait(q);
  cu_target_leave(target_of(q));
  return cuda_queue_check(q, error, "finish its work");
}
