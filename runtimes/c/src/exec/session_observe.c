#include "base/error.h"
#include "exec/session.h"

void session_forget_times(ossc_session* session) {
  session->has_times = false;
  step_recorder_free(&session->recorders[0]);
  step_recorder_free(&session->recorders[1]);
}

/* Asking changes no session, but a call that runs would change what is asked for. */
static ossc_status begin_call(const ossc_session* session) {
  return call_guard_begin(&((ossc_session*)session)->guard, "session");
}

static ossc_status end_call(const ossc_session* session, ossc_status status) {
  return call_guard_end(&((ossc_session*)session)->guard, status);
}

ossc_status ossc_session_position(const ossc_session* session, int32_t* position_out) {
  if (session == NULL || position_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session or position_out is NULL; pass both.");
  }
  *position_out = session->position;
  return OSSC_OK;
}

ossc_status ossc_session_threads(const ossc_session* session, int32_t* threads_out) {
  if (session == NULL || threads_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session or threads_out is NULL; pass both.");
  }
  *threads_out = session->executor.queue->threads;
  return OSSC_OK;
}

static ossc_status get_routing(const ossc_session* session, const int32_t** indices_out,
                               size_t* num_tokens_out) {
  if (session->routing == NULL) {
    return fail(OSSC_ERROR_ARGUMENT,
                "No routing was recorded; create the session with record_routing and run tokens.");
  }
  *indices_out = session->routing;
  *num_tokens_out = session->routing_tokens;
  return OSSC_OK;
}

ossc_status ossc_session_router_indices(const ossc_session* session, const int32_t** indices_out,
                                        size_t* num_tokens_out) {
  if (session == NULL || indices_out == NULL || num_tokens_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session, indices_out or num_tokens_out is NULL; pass all.");
  }
  ossc_status status = begin_call(session);
  if (status != OSSC_OK) return status;
  return end_call(session, get_routing(session, indices_out, num_tokens_out));
}

ossc_status ossc_session_record_routing(ossc_session* session, bool on) {
  if (session == NULL) return fail(OSSC_ERROR_ARGUMENT, "session is NULL; pass one.");
  ossc_status status = begin_call(session);
  if (status != OSSC_OK) return status;
  session->record_routing = on;
  return end_call(session, OSSC_OK);
}

ossc_status ossc_session_record_times(ossc_session* session, bool on) {
  if (session == NULL) return fail(OSSC_ERROR_ARGUMENT, "session is NULL; pass one.");
  ossc_status status = begin_call(session);
  if (status != OSSC_OK) return status;
  session->record_times = on;
  if (!on) session_forget_times(session);
  return end_call(session, OSSC_OK);
}

static ossc_status get_times(ossc_session* session, ossc_step_times* times_out) {
  if (!session->has_times) {
    return fail(OSSC_ERROR_ARGUMENT,
                "No times were recorded; ask with ossc_session_record_times and run tokens.");
  }
  *times_out = step_recorder_times(&session->recorders[0]);
  return OSSC_OK;
}

ossc_status ossc_session_step_times(ossc_session* session, ossc_step_times* times_out) {
  if (session == NULL || times_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session or times_out is NULL; pass both.");
  }
  ossc_status status = begin_call(session);
  return status == OSSC_OK ? end_call(session, get_times(session, times_out)) : status;
}
