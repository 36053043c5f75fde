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

/* Runs rows of the body's hidden states through the head, in blocks of what it takes.
 *   first   the first of them in the body's output
 *   logits  [count, vocab_size] */
static ossc_status run_head(executor* e, const plan_segment* body, int32_t first, int32_t count,
                            float* logits) {
  const plan* p = e->plan;
  const device_api* api = e->queue->api;
  size_t row_bytes = (size_t)p->hidden_size * sizeof(float), vocab_size = (size_t)p->vocab_size;
  while (count > 0) {
    const plan_segment* head = count == 1 ? p->head : p->block_head;
    int32_t rows = count < (int32_t)head->max_tokens ? count : (int32_t)head->max_tokens;
    size_t values = (size_t)rows * vocab_size;
    ossc_status status = api->copy(e->queue, head->hidden, body->hidden, (size_t)first * row_bytes,
                                   (size_t)rows * row_bytes);
    if (status == OSSC_OK) status = executor_run(e, head, rows);
    if (status == OSSC_OK) {
      status = api->read(e->queue, head->logits, 0, logits, values * sizeof(float));
    }
    if (status == OSSC_OK) status = logits_check(logits, values);
    if (status != OSSC_OK) return status;
    first += rows, logits += values, count -= rows;
  }
  return OSSC_OK;
}

/* Runs the head on the rows of a chunk that are wanted; first is the chunk's first token. */
static ossc_status run_chunk_head(ossc_session* session, const plan_segment* body,
                                  const prefill_call* call, size_t first, int32_t count) {
  executor* e = &session->executor;
  if (call->logits == NULL) return OSSC_OK;
  if (call->all) {
    return run_head(e, body, 0, count, call->logits + first * (size_t)e->plan->vocab_size);
  }
  if (first + (size_t)count < call->count) return OSSC_OK;
  return run_head(e, body, count - 1, 1, call->logits);
}

static ossc_status copy_routing(ossc_session* session, const plan_segment* body,
                                const prefill_call* call, size_t first, int32_t count) {
  executor* e = &session->executor;
  size_t k = (size_t)e->plan->num_experts_per_tok;
  ossc_status status = OSSC_OK;
  for (int32_t router = 0; call->routing != NULL && router < e->plan->num_router_layers; ++router) {
    int32_t* indices = call->routing + ((size_t)router * call->count + first) * k;
    status = executor_read_experts(e, body, router, (size_t)count, indices);
    if (status != OSSC_OK) return status;
  }
  return status;
}

/* Runs a chunk; first is its first token of the call's. */
static ossc_status run_chunk(ossc_session* session, const prefill_call* call,
                             const plan_segment* body, size_t first, int32_t count) {
  executor* e = &session->executor;
  int32_t position = session->position + (int32_t)first;
  ossc_status status = executor_write_tokens(e, body, call->token_ids + first, count, position);
  if (status == OSSC_OK) status = executor_run(e, body, count);
  if (status == OSSC_OK) status = copy_routing(session, body, call, first, count);
  if (status == OSSC_OK) status = run_chunk_head(session, body, call, first, count);
  if (status == OSSC_OK) status = e->queue->api->finish(e->queue);
  ossc_status weights_status = model_check_weights(session->model);
  return weights_status == OSSC_OK ? status : weights_status;
}

/* Runs all chunks. The position is not moved: it is the caller's to commit. */
static ossc_status run_chunks(ossc_session* session, const prefill_call* call) {
  const plan* p = session->executor.plan;
  for (size_t first = 0; first < call->count;) {
    size_t left = call->count - first;
    const plan_segment* body = left == 1 ? p->decode : p->prefill;
    int32_t count = (int32_t)(left < body->max_tokens ? left : body->max_tokens);
    ossc_status status = run_chunk(session, call, body, first, count);
    if (status != OSSC_OK) {
      session->overwritten = first > 0; /* rings have room for one chunk beyond the window */
      return status;
    }
    first += (size_t)count;
  }
  return OSSC_OK;
}

/* Room for the experts of count tokens, each -1; NULL in routing_out when they are not recorded. */
static ossc_status allocate_routing(const ossc_session* session, size_t count,
                                    int32_t** routing_out) {
  const plan* p = session->executor.plan;
  size_t layers = (size_t)p->num_router_layers, row = 0, indices = 0;
  *routing_out = NULL;
  if (!session->record_routing) return OSSC_OK;
  bool fits = !__builtin_mul_overflow(layers, (size_t)p->num_experts_per_tok, &row) &&
              !__builtin_mul_overflow(count, row, &indices);
  if (fits) *routing_out = calloc(indices + 1, sizeof(int32_t));
  if (*routing_out == NULL) return fail_out_of_memory("the chosen experts");
  memset(*routing_out, 0xff, indices * sizeof(int32_t));
  return OSSC_OK;
}

static void begin_times(ossc_session* session) {
  step_recorder* recorder = &session->recorders[1];
  session->executor.recorder = session->record_times ? recorder : NULL;
  if (!session->record_times) return;
  recorder->threads = session->executor.queue->threads;
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
