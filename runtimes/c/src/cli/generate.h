/* The run loop: a prompt, then one token after the other, with times. */
#ifndef OSSC_GENERATE_H_
#define OSSC_GENERATE_H_

#include "cli/run_options.h"

typedef enum finish_reason {
  FINISH_STOP = 0,    /* a stop token came */
  FINISH_LENGTH,      /* max_new_tokens came */
  FINISH_CONTEXT,     /* the context is full */
  FINISH_INTERRUPTED, /* SIGINT came */
} finish_reason;

typedef struct generation {
  int32_t* token_ids; /* without prompt and stop token */
  size_t num_token_ids;
  finish_reason finish_reason;
  int32_t context; /* of the model */
  size_t prefill_tokens, decode_tokens;
  double prefill_s, decode_s, load_s;
  uint64_t peak_rss_bytes, peak_anonymous_bytes;
} generation;

/* Called with each token id as it comes; index counts from 0. A failure ends the run. */
typedef ossc_status (*generate_callback)(size_t index, int32_t token_id);

/* Opens the bundle and runs, until one of the reasons to finish. Release it with generation_free. */
ossc_status generate(const run_options* options, generate_callback callback,
                     generation* generation_out);

void generation_free(generation* g);

#endif /* OSSC_GENERATE_H_ */
