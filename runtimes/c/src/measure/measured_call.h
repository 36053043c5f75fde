/* One prefill or decode with everything that was observed, kept until all calls are done, so that
 * nothing is formatted between them. */
#ifndef OSSC_MEASURED_CALL_H_
#define OSSC_MEASURED_CALL_H_

#include <stdio.h>

#include "ossc.h"

/* Where calls run, and what is observed. */
typedef struct call_setting {
  ossc_session* session;
  ossc_sampler* sampler; /* takes the likeliest token */
  ossc_model_info info;
  float* logits; /* [info.vocab_size] */
  bool times, routing;
} call_setting;

typedef struct measured_call {
  double seconds;
  int32_t argmax;
  ossc_step_times times; /* copies, zeros without */
  size_t num_tokens;     /* in routing */
  int32_t* routing;      /* [num_router_layers, num_tokens, num_experts_per_tok] or NULL */
} measured_call;

/* Runs tokens, one as a decode. Release the call with measured_call_free, also on failure. */
ossc_status measured_call_run(const call_setting* setting, const int32_t* token_ids, size_t count,
                              measured_call* call_out);

/* The object that "times" holds. */
void measured_call_print_times(const measured_call* call, FILE* answer);

/* The list that "routing" holds. */
void measured_call_print_routing(const call_setting* setting, const measured_call* call,
                                 FILE* answer);

void measured_call_free(measured_call* call);

#endif /* OSSC_MEASURED_CALL_H_ */
