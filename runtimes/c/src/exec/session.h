/* What a session is; session_create.c makes and empties it, session.c runs tokens,
 * session_observe.c says what happened. */
#ifndef OSSC_SESSION_H_
#define OSSC_SESSION_H_

#include "base/call_guard.h"
#include "exec/executor.h"
#include "exec/model.h"

struct ossc_session {
  call_guard guard;
  ossc_model* model;
  executor executor;
  _Atomic int32_t position; /* which other threads may ask for while a call runs */
  bool overwritten; /* a call failed after it had replaced keys that the position still needs */
  bool record_routing;
  int32_t* routing; /* [num_router_layers, routing_tokens, num_experts_per_tok]; -1: none */
  size_t routing_tokens;
  bool record_times;
  bool has_times;             /* in the first of these */
  step_recorder recorders[2]; /* of the last successful call, and of the one that runs */
};

/* Forgets the times of steps, and their memory. */
void session_forget_times(ossc_session* session);

#endif /* OSSC_SESSION_H_ */
