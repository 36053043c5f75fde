#include "exec/executor.h"

#define BLOCK 64 /* tokens that are written at once */

static ossc_status run_steps(executor* e, const plan_segment* segment, int32_t num_tokens) {
  const thread_ticks not_wanted = {0};
  const step_range all = {0, segment->num_steps};
  return e->queue->api->run(e->queue, segment, all, num_tokens, not_wanted);
}

static ossc_status record_step(executor* e, const plan_segment* segment, ossc_step_time identity) {
  const step_range one = {(uint32_t)identity.step, 1};
  thread_ticks ticks = step_recorder_begin_step(e->recorder, identity);
  ossc_status status = e->queue->api->run(e->queue, segment, one, identity.num_tokens, ticks);
  if (status == OSSC_OK) status = e->queue->api->finish(e->queue);
  step_recorder_end_step(e->recorder);
  return status;
}

static ossc_status record_steps(executor* e, const plan_segment* segment, int32_t num_tokens) {
  ossc_step_time identity = {.segment = (int32_t)(segment - e->plan->segments),
                             .num_tokens = num_tokens};
  ossc_status status = step_recorder_reserve(e->recorder, segment->num_steps);
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    identity.step = (int32_t)i;
    status = record_step(e, segment, identity);
  }
  return status;
}

ossc_status executor_run(executor* e, const plan_segment* segment, int32_t num_tokens) {
  return e->recorder == NULL ? run_steps(e, segment, num_tokens)
                             : record_steps(e, segment, num_tokens);
}

/* Writes numbers behind the first of a tensor of i32 or i64. */
static ossc_status write_integers(executor* e, uint32_t tensor, int32_t first,
                                  const int32_t* values, int32_t count) {
  const device_api* api = e->queue->api;
  plan_dtype dtype = e->plan->tensors[tensor].dtype;
  size_t at = (size_t)first * plan_dtype_bytes(dtype);
  size_t size = (size_t)count * plan_dtype_bytes(dtype);
  int64_t wide[BLOCK];
  if (dtype == PLAN_I32) return api->write(e->queue, tensor, at, values, size);
  for (int32_t i = 0; i < count; ++i) wide[i] = values[i];
  return api->write(e->queue, tensor, at, wide, size);
}

ossc_status executor_write_tokens(executor* e, const plan_segment* body, const int32_t* token_ids,
                                  int32_t count, int32_t position) {
  int32_t positions[BLOCK];
  ossc_status status = OSSC_OK;
  for (int32_t first = 0; first < count && status == OSSC_OK; first += BLOCK) {
    int32_t rows = count - first < BLOCK ? count - first : BLOCK;
    for (int32_t i = 0; i < rows; ++i) positions[i] = position + first + i;
    status = write_integers(e, body->token_ids, first, token_ids + first, rows);
    if (status == OSSC_OK) status = write_integers(e, body->positions, first, positions, rows);
  }
  return status;
}

ossc_status executor_read_experts(executor* e, const plan_segment* body, int32_t router,
                                  size_t count, int32_t* indices_out) {
  size_t width = (size_t)e->plan->router_widths[router];
  size_t stride = (size_t)e->plan->num_experts_per_tok;
  bool touch = width == stride; /* rows follow each other there too: one piece */
  size_t pieces = touch ? 1 : count, piece = touch ? count * width : width;
  ossc_status status = OSSC_OK;
  for (size_t i = 0; i < pieces && status == OSSC_OK; ++i) {
    status =
        e->queue->api->read(e->queue, body->router_indices[router], i * piece * sizeof(int32_t),
                            indices_out + i * stride, piece * sizeof(int32_t));
  }
  return status;
}
