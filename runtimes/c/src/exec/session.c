#include "exec/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "exec/logits.h"

/* One prefill: what is to be run, and where the results go. */
typedef struct prefill_call {
  const int32_t* token_ids;
  size_t count;
  float* logits;    /* or NULL */
  bool all;         /* logits of every token */
  int32_t* routing; /* or NULL */
} prefill_call;

static ossc_status check_context(const ossc_session* session, size_t count) {
  int32_t position = session->position, context = session->model->plan.context;
  if (count <= (size_t)(context - position)) return OSSC_OK;
  if (position == 0) {
    return fail(OSSC_ERROR_CONTEXT,
                "%zu tokens do not fit into the context of %d; give fewer, or compile the model "
                "with a larger --context.",
                count, (int)context);
  }
  return fail(OSSC_ERROR_CONTEXT,
              "%zu tokens at position %d do not fit into the context of %d; give fewer, reset the "
              "session, or compile the model with a larger --context.",
              count, (int)position, (int)context);
}

static ossc_status check_tokens(const ossc_session* session, const int32_t* token_ids,
                                size_t count) {
  const plan* p = &session->model->plan;
  if (session->overwritten) {
    return fail(OSSC_ERROR_KERNEL,
                "An earlier call failed half-way and left the session without its keys; reset it.");
  }
  if (count == 0) return fail(OSSC_ERROR_ARGUMENT, "No tokens were given; give at least one.");
  for (size_t i = 0; i < count; ++i) {
    if (token_ids[i] < 0 || token_ids[i] >= p->vocab_size) {
      return fail(OSSC_ERROR_ARGUMENT,
                  "Token id %d is not in the vocabulary of %d; give ids from 0 to %d.",
                  (int)token_ids[i], (int)p->vocab_size, (int)p->vocab_size - 1);
    }
  }
  return check_context(session, count);
}

/* Runs a chunk of tokens through the body; its hidden rows are then in the segment's output. */
static ossc_status run_body(ossc_session* session, const plan_segment* segment,
                            const int32_t* token_ids, int32_t count, int32_t position) {
  int64_t* input_ids = executor_data(&session->executor, segment->input_ids);
  int64_t* position_ids = executor_data(&session->executor, segment->position_ids);
  for (int32_t i = 0; i < count; ++i) {
    input_ids[i] = token_ids[i];
    position_ids[i] = position + i;
  }
  return executor_run(&session->executor, segment, count);
}

/* Runs rows of hidden states through the head, in blocks of what it takes.
 *   hidden  [count, hidden_size]
 *   logits  [count, vocab_size] */
static ossc_status run_head(ossc_session* session, const float* hidden, int32_t count,
                            float* logits) {
  executor* e = &session->executor;
  const plan* p = e->plan;
  size_t columns = (size_t)p->hidden_size, vocab_size = (size_t)p->vocab_size;
  while (count > 0) {
    const plan_segment* head = count == 1 ? p->head : p->block_head;
    int32_t rows = count < (int32_t)head->max_tokens ? count : (int32_t)head->max_tokens;
    memmove(executor_data(e, head->hidden), hidden, (size_t)rows * columns * sizeof(float));
    ossc_status status = executor_run(e, head, rows);
    if (status != OSSC_OK) return status;
    const float* computed = executor_data(e, head->logits);
    status = logits_check(computed, (size_t)rows * vocab_size);
    if (status != OSSC_OK) return status;
    memcpy(logits, computed, (size_t)rows * vocab_size * sizeof(float));
    hidden += (size_t)rows * columns, logits += (size_t)rows * vocab_size, count -= rows;
  }
  return OSSC_OK;
}

/* Runs the head on the rows of a chunk that are wanted; first is the chunk's first token. */
static ossc_status run_chunk_head(ossc_session* session, const plan_segment* segment,
                                  const prefill_call* call, size_t first, int32_t count) {
  const plan* p = session->executor.plan;
  const float* hidden = executor_data(&session->executor, segment->hidden);
  if (call->logits == NULL) return OSSC_OK;
  if (call->all) {
    return run_head(session, hidden, count, call->logits + first * (size_t)p->vocab_size);
  }
  if (first + (size_t)count < call->count) return OSSC_OK;
  return run_head(session, hidden + (size_t)(count - 1) * (size_t)p->hidden_size, 1, call->logits);
}

static void copy_routing(const ossc_session* session, const plan_segment* segment,
                         const prefill_call* call, size_t first, int32_t count) {
  const plan* p = session->executor.plan;
  size_t k = (size_t)p->num_experts_per_tok;
  for (int32_t layer = 0; call->routing != NULL && layer < p->num_router_layers; ++layer) {
    const int32_t* indices = executor_data(&session->executor, segment->router_indices[layer]);
    int32_t* target = call->routing + ((size_t)layer * call->count + first) * k;
    memcpy(target, indices, (size_t)count * k * sizeof(int32_t));
  }
}

/* Runs all chunks. The position is not moved: it is the caller's to commit. */
static ossc_status run_chunks(ossc_session* session, const prefill_call* call) {
  const plan* p = session->executor.plan;
  for (size_t first = 0; first < call->count;) {
    size_t left = call->count - first;
    const plan_segment* segment = left == 1 ? p->decode : p->prefill;
    int32_t count = (int32_t)(left < segment->max_tokens ? left : segment->max_tokens);
    int32_t position = session->position + (int32_t)first;
    ossc_status status = run_body(session, segment, call->token_ids + first, count, position);
    if (status == OSSC_OK) copy_routing(session, segment, call, first, count);
    if (status == OSSC_OK) status = run_chunk_head(session, segment, call, first, count);
    if (memory_is_cut(&session->model->weights)) status = model_check_weights(session->model);
    if (status != OSSC_OK) {
      session->overwritten = first > 0; /* rings have room for one chunk beyond the window */
      return status;
    }
    first += (size_t)count;
  }
  return OSSC_OK;
}

/* Room for the experts of count tokens; NULL in routing_out when they are not recorded. */
static ossc_status allocate_routing(const ossc_session* session, size_t count,
                                    int32_t** routing_out) {
  const plan* p = session->executor.plan;
  size_t row = (size_t)p->num_router_layers * (size_t)p->num_experts_per_tok;
  *routing_out = NULL;
  if (!session->record_routing) return OSSC_OK;
  *routing_out = calloc(count * row + 1, sizeof(int32_t));
  return *routing_out == NULL ? fail_out_of_memory("the chosen experts") : OSSC_OK;
}

static void begin_times(ossc_session* session) {
  step_recorder* recorder = &session->recorders[1];
  session->executor.recorder = session->record_times ? recorder : NULL;
  if (!session->record_times) return;
  recorder->threads = thread_pool_threads(session->executor.pool);
  step_recorder_begin_call(recorder);
}

static void commit_times(ossc_session* session) {
  if (!session->record_times) return;
  step_recorder previous = session->recorders[0];
  step_recorder_end_call(&session->recorders[1]);
  session->recorders[0] = session->recorders[1];
  session->recorders[1] = previous;
  session->has_times = true;
}

static ossc_status run_prefill(ossc_session* session, prefill_call call) {
  ossc_status status = model_check_weights(session->model);
  if (status == OSSC_OK) status = check_tokens(session, call.token_ids, call.count);
  if (status == OSSC_OK) status = allocate_routing(session, call.count, &call.routing);
  if (status != OSSC_OK) return status;
  begin_times(session);
  status = run_chunks(session, &call);
  if (status != OSSC_OK) {
    free(call.routing);
    return status;
  }
  commit_times(session);
  free(session->routing);
  session->routing = call.routing;
  session->routing_tokens = call.count;
  session->position += (int32_t)call.count;
  return OSSC_OK;
}

static ossc_status prefill(ossc_session* session, prefill_call call) {
  if (session == NULL || call.token_ids == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session or token_ids is NULL; pass both.");
  }
  ossc_status status = call_guard_begin(&session->guard, "session");
  return status == OSSC_OK ? call_guard_end(&session->guard, run_prefill(session, call)) : status;
}

ossc_status ossc_session_prefill(ossc_session* session, const int32_t* token_ids, size_t count,
                                 float* logits_out) {
  return prefill(session, (prefill_call){token_ids, count, logits_out, false, NULL});
}

ossc_status ossc_session_prefill_all(ossc_session* session, const int32_t* token_ids, size_t count,
                                     float* logits_out) {
  if (logits_out == NULL) return fail(OSSC_ERROR_ARGUMENT, "logits_out is NULL; pass a buffer.");
  return prefill(session, (prefill_call){token_ids, count, logits_out, true, NULL});
}

ossc_status ossc_session_decode(ossc_session* session, int32_t token_id, float* logits_out) {
  if (logits_out == NULL) return fail(OSSC_ERROR_ARGUMENT, "logits_out is NULL; pass a buffer.");
  return prefill(session, (prefill_call){&token_id, 1, logits_out, false, NULL});
}
