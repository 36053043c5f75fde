/* The run loop: a prompt, then one token after the other, with times. */
#ifndef OSSC_GENERATE_H_
#define OSSC_GENERATE_H_

#include "run_options.h"

typedef struct generation {
  int32_t* token_ids; /* without prompt and stop token */
  size_t num_token_ids;
  size_t prefill_tokens, decode_tokens;
  double prefill_s, decode_s, load_s;
  uint64_t peak_rss_bytes, peak_anonymous_bytes;
} generation;

/* Called with each token id as it comes; index counts from 0. A failure ends the run. */
typedef ossc_status (*generate_callback)(size_t index, int32_t token_id);

/* Opens the bundle and runs. Ends after max_new_tokens, at a stop token, or when the context is
 * full. Release it with generation_free. */
ossc_status generate(const run_options* options, generate_callback callback,
                     generation* generation_out);

void generation_free(generation* g);

#endif /* OSSC_GENERATE_H_ */
