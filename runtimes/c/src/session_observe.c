#include "error.h"
#include "session.h"

void session_forget_times(ossc_session* session) {
  session->has_times = false;
  step_recorder_free(&session->recorders[0]);
  step_recorder_free(&session->recorders[1]);
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
  *threads_out = thread_pool_threads(session->executor.pool);
  return OSSC_OK;
}

ossc_status ossc_session_router_indices(const ossc_session* session, const int32_t** indices_out,
                                        size_t* num_tokens_out) {
  if (session == NULL || indices_out == NULL || num_tokens_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session, indices_out or num_tokens_out is NULL; pass all.");
  }
  if (session->routing == NULL) {
    return fail(OSSC_ERROR_ARGUMENT,
                "No routing was recorded; create the session with record_routing and run tokens.");
  }
  *indices_out = session->routing;
  *num_tokens_out = session->routing_tokens;
  return OSSC_OK;
}

ossc_status ossc_session_record_routing(ossc_session* session, bool on) {
  if (session == NULL) return fail(OSSC_ERROR_ARGUMENT, "session is NULL; pass one.");
  session->record_routing = on;
  return OSSC_OK;
}

ossc_status ossc_session_record_times(ossc_session* session, bool on) {
  if (session == NULL) return fail(OSSC_ERROR_ARGUMENT, "session is NULL; pass one.");
  session->record_times = on;
  if (!on) session_forget_times(session);
  return OSSC_OK;
}

ossc_status ossc_session_step_times(ossc_session* session, ossc_step_times* times_out) {
  if (session == NULL || times_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "session or times_out is NULL; pass both.");
  }
  if (!session->has_times) {
    return fail(OSSC_ERROR_ARGUMENT,
                "No times were recorded; ask with ossc_session_record_times and run tokens.");
  }
  *times_out = step_recorder_times(&session->recorders[0]);
  return OSSC_OK;
}
