/* ossc-run: token ids in, token ids out. */
#include <signal.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/generate.h"
#include "cli/print_devices.h"
#include "measure/measure.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

static int exit_status(ossc_status status) {
  if (status == OSSC_OK) return EXIT_DONE;
  fprintf(stderr, "ossc-run: %s\n", ossc_last_error());
  return status == OSSC_ERROR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

static ossc_status flush_output(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The output cannot be written: its disk is full, it is closed, or its reader ended.");
}

static ossc_status print_token(size_t index, int32_t token_id) {
  printf("%s%d", index == 0 ? "" : " ", (int)token_id);
  return flush_output();
}

static ossc_status print_nothing(size_t index, int32_t token_id) {
  (void)index, (void)token_id;
  return OSSC_OK;
}

static double per_second(size_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? (double)tokens / seconds : 0;
}

static const char* reason_name(finish_reason reason) {
  static const char* const names[] = {"stop", "length", "context", "interrupted"};
  return names[reason];
}

static void print_json(const generation* g) {
  printf("{\"token_ids\": [");
  for (size_t i = 0; i < g->num_token_ids; ++i) {
    printf("%s%d", i == 0 ? "" : ", ", (int)g->token_ids[i]);
  }
  printf("], \"text\": null, \"thinking\": null, \"channels\": null, ");
  printf("\"finish_reason\": \"%s\", ", reason_name(g->finish_reason));
  printf("\"prefill_tokens\": %zu, \"prefill_tokens_per_s\": %.3f, ", g->prefill_tokens,
         per_second(g->prefill_tokens, g->prefill_s));
  printf("\"decode_tokens\": %zu, \"decode_tokens_per_s\": %.3f, \"load_s\": %.6f, ",
         g->decode_tokens, per_second(g->decode_tokens, g->decode_s), g->load_s);
  printf("\"peak_rss_bytes\": %llu, \"peak_anonymous_bytes\": %llu}\n",
         (unsigned long long)g->peak_rss_bytes, (unsigned long long)g->peak_anonymous_bytes);
}

/* Says that more would have come, and how to have it. */
static void print_cut(const generation* g) {
  if (g->finish_reason == FINISH_LENGTH) {
    fprintf(stderr, "ossc-run: It was cut by -n %zu; have more with a larger one.\n",
            g->num_token_ids);
  } else if (g->finish_reason == FINISH_CONTEXT) {
    fprintf(stderr,
            "ossc-run: It was cut because the context of %d tokens is full; give a shorter "
            "prompt, or compile the model with a larger --context.\n",
            (int)g->context);
  } else if (g->finish_reason == FINISH_INTERRUPTED) {
    fputs("ossc-run: It was interrupted; this is what came until then.\n", stderr);
  }
}

/* The token ids are out already. */
static void print_timings(const generation* g) {
  printf("\n");
  fflush(stdout);
  fprintf(stderr, "load %.3f s, prefill %zu tokens %.2f tok/s, decode %zu tokens %.2f tok/s, ",
          g->load_s, g->prefill_tokens, per_second(g->prefill_tokens, g->prefill_s),
          g->decode_tokens, per_second(g->decode_tokens, g->decode_s));
  fprintf(stderr, "peak RSS %llu MB, peak anonymous %llu MB\n",
          (unsigned long long)g->peak_rss_bytes >> 20,
          (unsigned long long)g->peak_anonymous_bytes >> 20);
  print_cut(g);
}

static ossc_status run(const run_options* options, bool* interrupted_out) {
  generation g;
  ossc_status status = generate(options, options->json ? print_nothing : print_token, &g);
  if (status != OSSC_OK) return status;
  if (options->json) {
    print_json(&g);
  } else {
    print_timings(&g);
  }
  *interrupted_out = g.finish_reason == FINISH_INTERRUPTED;
  generation_free(&g);
  return OSSC_OK;
}

int main(int argc, char** argv) {
  run_options options;
  bool interrupted = false;
  signal(SIGPIPE, SIG_IGN); /* a write to a pipe without a reader fails as others do */
  ossc_status status = run_options_parse(argc, argv, &options);
  if (status != OSSC_OK) return exit_status(status);
  if (options.help) {
    fputs(run_options_usage, stdout);
  } else if (options.version) {
    printf("ossc-run, API version %d\n", OSSC_API_VERSION);
  } else if (options.list_devices) {
    status = print_devices(options.json);
  } else if (options.measure) {
    status = measure(&options);
  } else {
    status = run(&options, &interrupted);
  }
  run_options_free(&options);
  if (status == OSSC_OK) status = flush_output();
  return status == OSSC_OK && interrupted ? EXIT_INTERRUPTED : exit_status(status);
}
