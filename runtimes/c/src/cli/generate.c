#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "cli/generate.h"

#include <stdlib.h>
#include <time.h>

#include "base/error.h"
#include "cli/interrupt.h"

/* What a run holds open. */
typedef struct runner {
  ossc_model* model;
  ossc_session* session;
  ossc_sampler* sampler;
  ossc_model_info info;
  float* logits; /* [vocab_size] */
} runner;

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void observe_memory(generation* g) {
  ossc_process_memory memory;
  if (ossc_get_process_memory(&memory) != OSSC_OK) return;
  g->peak_rss_bytes = memory.peak_rss_bytes;
  if (memory.anonymous_bytes > g->peak_anonymous_bytes) {
    g->peak_anonymous_bytes = memory.anonymous_bytes;
  }
}

static ossc_status open_runner(const run_options* options, runner* r) {
  ossc_model_options model_options = {options->weights_mode, options->kv_type, options->device};
  ossc_session_options session_options = {options->threads, false};
  ossc_status status = ossc_sampler_create(&options->sampler, &r->sampler);
  if (status == OSSC_OK) status = ossc_model_open(options->bundle, &model_options, &r->model);
  if (status == OSSC_OK) status = ossc_model_get_info(r->model, &r->info);
  if (status == OSSC_OK) status = ossc_session_create(r->model, &session_options, &r->session);
  if (status != OSSC_OK) return status;
  r->logits = calloc((size_t)r->info.vocab_size, sizeof(float));
  return r->logits == NULL ? fail_out_of_memory("the logits") : OSSC_OK;
}

static void close_runner(runner* r) {
  free(r->logits);
  ossc_sampler_destroy(r->sampler);
  ossc_session_destroy(r->session);
  ossc_model_close(r->model);
}

static bool is_stop(const ossc_model_info* info, int32_t token_id) {
  for (size_t i = 0; i < info->num_stop_token_ids; ++i) {
    if (info->stop_token_ids[i] == token_id) return true;
  }
  return false;
}

static ossc_status check_prompt(const runner* r, const run_options* options) {
  size_t count = options->num_token_ids;
  if (count <= (size_t)r->info.context) return OSSC_OK;
  return fail(OSSC_ERROR_CONTEXT,
              "The prompt has %zu tokens and the context holds %d; give a shorter prompt, or "
              "compile the model with a larger --context.",
              count, (int)r->info.context);
}

/* Runs the prompt chunk by chunk, so that an interrupt need not wait for all of it. */
static ossc_status run_prompt(runner* r, const run_options* options, generation* g) {
  double start = now_s();
  size_t chunk = (size_t)r->info.prefill_chunk, count = options->num_token_ids;
  ossc_status status = OSSC_OK;
  while (status == OSSC_OK && g->prefill_tokens < count && !interrupt_came()) {
    size_t left = count - g->prefill_tokens, now = left < chunk ? left : chunk;
    status = ossc_session_prefill(r->session, options->token_ids + g->prefill_tokens, now,
                                  now == left ? r->logits : NULL);
    g->prefill_tokens += now;
  }
  g->prefill_s = now_s() - start;
  return status;
}

/* How many tokens can come: the last one is not run, so it needs no room in the context. */
static size_t most_tokens(const runner* r, const run_options* options) {
  size_t room = (size_t)r->info.context - options->num_token_ids + 1;
  size_t wanted = (size_t)options->max_new_tokens;
  return wanted < room ? wanted : room;
}

static ossc_status finish(generation* g, finish_reason reason) {
  g->finish_reason = reason;
  return OSSC_OK;
}

static ossc_status run_tokens(runner* r, size_t most, generate_callback callback, generation* g) {
  ossc_status status = OSSC_OK;
  while (status == OSSC_OK && g->num_token_ids < most) {
    int32_t token_id;
    if (interrupt_came()) return finish(g, FINISH_INTERRUPTED);
    status = ossc_sampler_sample(r->sampler, r->logits, (size_t)r->info.vocab_size, &token_id);
    if (status != OSSC_OK) break;
    if (is_stop(&r->info, token_id)) return finish(g, FINISH_STOP);
    status = ossc_sampler_accept(r->sampler, &token_id, 1);
    if (status == OSSC_OK) status = callback(g->num_token_ids, token_id);
    if (status != OSSC_OK) break;
    g->token_ids[g->num_token_ids++] = token_id;
    observe_memory(g);
    if (g->num_token_ids == most) break;
    status = ossc_session_decode(r->session, token_id, r->logits);
    g->decode_tokens += status == OSSC_OK;
  }
  return status;
}

static ossc_status run(runner* r, const run_options* options, generate_callback callback,
                       generation* g) {
  double start = now_s();
  ossc_status status = open_runner(options, r);
  g->load_s = now_s() - start;
  if (status == OSSC_OK) status = check_prompt(r, options);
  if (status != OSSC_OK) return status;
  size_t most = most_tokens(r, options);
  g->context = r->info.context;
  g->finish_reason = most < (size_t)options->max_new_tokens ? FINISH_CONTEXT : FINISH_LENGTH;
  g->token_ids = calloc(most + 1, sizeof(int32_t));
  if (g->token_ids == NULL) return fail_out_of_memory("the tokens");
  status = ossc_sampler_accept(r->sampler, options->token_ids, options->num_token_ids);
  if (status != OSSC_OK) return status;
  interrupt_notice();
  status = run_prompt(r, options, g);
  if (status != OSSC_OK) return status;
  observe_memory(g);
  start = now_s();
  status = run_tokens(r, most, callback, g);
  g->decode_s = now_s() - start;
  return status;
}

ossc_status generate(const run_options* options, generate_callback callback,
                     generation* generation_out) {
  runner r = {0};
  generation g = {0};
  ossc_status status = run(&r, options, callback, &g);
  close_runner(&r);
  if (status != OSSC_OK) {
    generation_free(&g);
    return status;
  }
  *generation_out = g;
  return OSSC_OK;
}

void generation_free(generation* g) {
  free(g->token_ids);
  *g = (generation){0};
}
