#include <stdlib.h>

#include "base/cpu.h"
#include "base/error.h"
#include "exec/session.h"

#define FILL_BYTE 0x3c /* a number, neither 0 nor huge, as f32, f16, bf16 and int8 */

static ossc_status create(ossc_model* model, int32_t threads, bool record_routing,
                          ossc_session** session_out) {
  ossc_session* session = calloc(1, sizeof(ossc_session));
  if (session == NULL) return fail_out_of_memory("a session");
  call_guard_init(&session->guard);
  session->record_routing = record_routing;
  session->executor.plan = &model->plan;
  ossc_status status = model->device->api->start(model->device, threads, &session->executor.queue);
  if (status != OSSC_OK) {
    free(session);
    return status;
  }
  model_retain(model);
  session->model = model;
  *session_out = session;
  return OSSC_OK;
}

ossc_status ossc_session_create(ossc_model* model, const ossc_session_options* options,
                                ossc_session** session_out) {
  if (model == NULL || session_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "model or session_out is NULL; pass both.");
  }
  int32_t threads = options == NULL ? 0 : options->threads;
  if (threads < 0 || threads > MAX_THREADS) {
    return fail(OSSC_ERROR_ARGUMENT, "%d threads were asked for; ask for 0 to %d.", (int)threads,
                MAX_THREADS);
  }
  if (threads == 0) threads = cpu_count();
  if (threads > MAX_THREADS) threads = MAX_THREADS;
  return create(model, threads, options != NULL && options->record_routing, session_out);
}

void ossc_session_destroy(ossc_session* session) {
  if (session == NULL) return;
  device_queue* queue = session->executor.queue;
  queue->api->release(queue);
  free(session->routing);
  session_forget_times(session);
  ossc_model_close(session->model);
  free(session);
}

static void forget_tokens(ossc_session* session) {
  free(session->routing);
  session->routing = NULL;
  session->routing_tokens = 0;
  session->has_times = false;
  session->position = 0;
  session->overwritten = false;
}

ossc_status ossc_session_reset(ossc_session* session) {
  if (session == NULL) return fail(OSSC_ERROR_ARGUMENT, "session is NULL; pass one.");
  ossc_status status = call_guard_begin(&session->guard, "session");
  if (status != OSSC_OK) return status;
  forget_tokens(session);
  return call_guard_end(&session->guard, OSSC_OK);
}

ossc_status ossc_session_fill(ossc_session* session, int32_t position) {
  if (session == NULL) return fail(OSSC_ERROR_ARGUMENT, "session is NULL; pass one.");
  int32_t context = session->model->plan.context;
  if (position < 0 || position > context) {
    return fail(OSSC_ERROR_ARGUMENT, "The position %d is not in the context; give 0 to %d.",
                (int)position, (int)context);
  }
  ossc_status status = call_guard_begin(&session->guard, "session");
  if (status != OSSC_OK) return status;
  forget_tokens(session);
  device_queue* queue = session->executor.queue;
  status = queue->api->fill(queue, FILL_BYTE);
  if (status == OSSC_OK) session->position = position;
  return call_guard_end(&session->guard, status);
}
