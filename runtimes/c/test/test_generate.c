/* The run loop on the tests' bundle: test_generate BUNDLE. */
#include <signal.h>

#include "check.h"
#include "cli/generate.h"

static int32_t prompt[] = {5, 1, 30};

static run_options options_for(const char* bundle, int32_t max_new_tokens) {
  return (run_options){.bundle = bundle,
                       .token_ids = prompt,
                       .num_token_ids = 3,
                       .max_new_tokens = max_new_tokens,
                       .sampler = {.top_p = 1}};
}

static ossc_status nothing(size_t index, int32_t token_id) {
  (void)index, (void)token_id;
  return OSSC_OK;
}

static ossc_status interrupt_at_the_second(size_t index, int32_t token_id) {
  (void)token_id;
  if (index == 1) raise(SIGINT);
  return OSSC_OK;
}

static void a_generation_says_why_it_ended(const char* bundle) {
  generation g;
  run_options options = options_for(bundle, 4);
  CHECK(generate(&options, nothing, &g) == OSSC_OK);
  CHECK(g.finish_reason == FINISH_LENGTH && g.num_token_ids == 4 && g.decode_tokens == 3);
  generation_free(&g);
  options.max_new_tokens = 1000;
  CHECK(generate(&options, nothing, &g) == OSSC_OK);
  CHECK(g.finish_reason == FINISH_CONTEXT && g.context == 24 && g.num_token_ids == 22);
  generation_free(&g);
}

/* The last check of this program: from then on every generation is interrupted. */
static void an_interrupt_keeps_what_came(const char* bundle) {
  generation g;
  run_options options = options_for(bundle, 10);
  CHECK(generate(&options, interrupt_at_the_second, &g) == OSSC_OK);
  CHECK(g.finish_reason == FINISH_INTERRUPTED && g.num_token_ids == 2);
  generation_free(&g);
  CHECK(generate(&options, nothing, &g) == OSSC_OK);
  CHECK(g.finish_reason == FINISH_INTERRUPTED && g.num_token_ids == 0 && g.prefill_tokens == 0);
  generation_free(&g);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  a_generation_says_why_it_ended(argv[1]);
  an_interrupt_keeps_what_came(argv[1]);
  return 0;
}
