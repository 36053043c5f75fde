/* The public API on the tests' bundle: test_api BUNDLE. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <math.h>
#include <stdint.h>
#include <time.h>

#include "check.h"

enum { VOCAB = 40, CONTEXT = 24, CHUNK = 4, CURSED_TOKEN_ID = 39 };

static const int32_t prompt[] = {5, 1, 30, 30, 2, 0, 17, 8, 9, 38, 11, 4, 3};
enum { PROMPT = sizeof(prompt) / sizeof(prompt[0]) };

static ossc_session* new_session(ossc_model* model, int32_t threads) {
  ossc_session_options options = {threads, true};
  ossc_session* session = NULL;
  CHECK(ossc_session_create(model, &options, &session) == OSSC_OK);
  return session;
}

static int32_t position_of(const ossc_session* session) {
  int32_t position = -1;
  CHECK(ossc_session_position(session, &position) == OSSC_OK);
  return position;
}

static void the_model_says_what_it_is(ossc_model* model) {
  ossc_model_info info;
  CHECK(ossc_api_version() == OSSC_API_VERSION);
  CHECK(ossc_model_get_info(model, &info) == OSSC_OK);
  CHECK(info.vocab_size == VOCAB && info.hidden_size == 16 && info.context == CONTEXT);
  CHECK(info.prefill_chunk == CHUNK && info.num_router_layers == 1 &&
        info.num_experts_per_tok == 2);
  CHECK(info.num_stop_token_ids == 2 && info.stop_token_ids[0] == 7 && info.stop_token_ids[1] == 9);
  CHECK(strcmp(info.target, "cpu:test") == 0);
}

/* Whatever the chunks and threads, each token has the logits that decode alone gives. */
static void prefill_gives_the_logits_of_decode(ossc_model* model, int32_t threads) {
  static float decoded[PROMPT][VOCAB], all[PROMPT][VOCAB], last[VOCAB];
  ossc_session* session = new_session(model, threads);
  for (int i = 0; i < PROMPT; ++i) {
    CHECK(ossc_session_decode(session, prompt[i], decoded[i]) == OSSC_OK);
  }
  for (size_t count = 1; count <= PROMPT; ++count) {
    CHECK(ossc_session_reset(session) == OSSC_OK);
    CHECK(ossc_session_prefill_all(session, prompt, count, all[0]) == OSSC_OK);
    CHECK(memcmp(all, decoded, count * sizeof(all[0])) == 0);
    CHECK(ossc_session_reset(session) == OSSC_OK);
    CHECK(ossc_session_prefill(session, prompt, count, last) == OSSC_OK);
    CHECK(memcmp(last, decoded[count - 1], sizeof(last)) == 0);
    CHECK(position_of(session) == (int32_t)count);
  }
  ossc_session_destroy(session);
}

static void prefill_continues_from_the_position(ossc_model* model) {
  float whole[VOCAB], parts[VOCAB];
  ossc_session* session = new_session(model, 2);
  CHECK(ossc_session_prefill(session, prompt, PROMPT, whole) == OSSC_OK);
  CHECK(ossc_session_reset(session) == OSSC_OK);
  CHECK(ossc_session_prefill(session, prompt, 5, NULL) == OSSC_OK);
  CHECK(ossc_session_decode(session, prompt[5], parts) == OSSC_OK);
  CHECK(ossc_session_prefill(session, prompt + 6, PROMPT - 6, parts) == OSSC_OK);
  CHECK(memcmp(whole, parts, sizeof(whole)) == 0);
  ossc_session_destroy(session);
}

static void routing_can_be_recorded_from_some_call_on(ossc_model* model) {
  const int32_t* indices = NULL;
  size_t num_tokens = 0;
  ossc_session* session = NULL;
  CHECK(ossc_session_create(model, NULL, &session) == OSSC_OK);
  CHECK(ossc_session_prefill(session, prompt, 3, NULL) == OSSC_OK);
  CHECK(ossc_session_record_routing(session, true) == OSSC_OK);
  CHECK(ossc_session_router_indices(session, &indices, &num_tokens) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_prefill(session, prompt, 2, NULL) == OSSC_OK);
  CHECK(ossc_session_router_indices(session, &indices, &num_tokens) == OSSC_OK);
  CHECK(num_tokens == 2 && indices[0] == prompt[0] % 4);
  CHECK(ossc_session_record_routing(session, false) == OSSC_OK);
  CHECK(ossc_session_prefill(session, prompt, 2, NULL) == OSSC_OK);
  CHECK(ossc_session_router_indices(session, &indices, &num_tokens) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_record_routing(NULL, true) == OSSC_ERROR_ARGUMENT);
  ossc_session_destroy(session);
}

static void routing_covers_every_token_of_the_call(ossc_model* model) {
  ossc_session* session = new_session(model, 1);
  const int32_t* indices = NULL;
  size_t num_tokens = 0;
  CHECK_FAILS(ossc_session_router_indices(session, &indices, &num_tokens), OSSC_ERROR_ARGUMENT,
              "record_routing");
  CHECK(ossc_session_prefill(session, prompt, PROMPT, NULL) == OSSC_OK);
  CHECK(ossc_session_router_indices(session, &indices, &num_tokens) == OSSC_OK);
  CHECK(num_tokens == PROMPT);
  for (int i = 0; i < PROMPT; ++i) {
    CHECK(indices[2 * i] == prompt[i] % 4 && indices[2 * i + 1] == (prompt[i] + 1) % 4);
  }
  ossc_session_destroy(session);
}

/* The steps of a call of PROMPT tokens: chunks of prefill, the rest as decode, and the head. */
static void check_step_times(const ossc_step_times* times, int32_t threads) {
  const int32_t rows[] = {CHUNK, CHUNK, CHUNK, 1}, steps = 4, segments[] = {1, 1, 1, 0};
  CHECK(times->count == 4 * (size_t)steps + 1 && times->threads == threads);
  for (size_t i = 0; i < times->count; ++i) {
    const ossc_step_time* step = &times->steps[i];
    bool is_head = i == 4 * (size_t)steps;
    CHECK(step->segment == (is_head ? 2 : segments[i / 4]));
    CHECK(step->step == (is_head ? 0 : (int32_t)i % steps));
    CHECK(step->num_tokens == (is_head ? 1 : rows[i / 4]));
    CHECK(step->begin_ns <= step->end_ns);
    CHECK(i == 0 || step->begin_ns == step[-1].end_ns);
  }
}

/* Every step was done by some thread, within its time; a step that is no range by the caller. */
static void check_thread_times(const ossc_step_times* times) {
  for (size_t i = 0; i < times->count; ++i) {
    const ossc_step_time* step = &times->steps[i];
    const int64_t* thread_ns = times->thread_ns + i * 2 * (size_t)times->threads;
    int32_t busy = 0;
    for (int32_t t = 0; t < times->threads; ++t) {
      int64_t begin = thread_ns[2 * t], end = thread_ns[2 * t + 1];
      busy += end != 0;
      CHECK((begin == 0 && end == 0) || (step->begin_ns <= begin && begin <= end));
      CHECK(end <= step->end_ns);
    }
    CHECK(busy >= 1);
    CHECK(step->segment == 2 || step->step != 1 || (busy == 1 && thread_ns[0] != 0));
  }
}

static void steps_are_timed_when_asked(ossc_model* model, int32_t threads) {
  float logits[VOCAB];
  ossc_step_times times;
  ossc_session* session = new_session(model, threads);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK_FAILS(ossc_session_step_times(session, &times), OSSC_ERROR_ARGUMENT, "No times");
  CHECK(ossc_session_record_times(session, true) == OSSC_OK);
  CHECK_FAILS(ossc_session_step_times(session, &times), OSSC_ERROR_ARGUMENT, "No times");
  CHECK(ossc_session_prefill(session, prompt, PROMPT, logits) == OSSC_OK);
  CHECK(ossc_session_step_times(session, &times) == OSSC_OK);
  check_step_times(&times, threads);
  check_thread_times(&times);
  int64_t begin_ns = times.steps[0].begin_ns;
  CHECK(ossc_session_decode(session, VOCAB, logits) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_decode(session, CURSED_TOKEN_ID, logits) == OSSC_ERROR_KERNEL);
  CHECK(ossc_session_step_times(session, &times) == OSSC_OK);
  check_step_times(&times, threads);
  CHECK(times.steps[0].begin_ns == begin_ns); /* asking again changes nothing */
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK(ossc_session_step_times(session, &times) == OSSC_OK);
  CHECK(times.count == 5 && times.steps[0].begin_ns > begin_ns);
  CHECK(ossc_session_record_times(session, false) == OSSC_OK);
  CHECK_FAILS(ossc_session_step_times(session, &times), OSSC_ERROR_ARGUMENT, "No times");
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK(ossc_session_step_times(session, &times) == OSSC_ERROR_ARGUMENT);
  ossc_session_destroy(session);
}

/* The times are those of the clock, and cover the call but for the way into and out of it. */
static void step_times_add_up_to_the_call(ossc_model* model) {
  struct timespec before, after;
  ossc_step_times times;
  ossc_session* session = new_session(model, 1);
  CHECK(ossc_session_record_times(session, true) == OSSC_OK);
  clock_gettime(CLOCK_MONOTONIC, &before);
  CHECK(ossc_session_prefill(session, prompt, PROMPT, NULL) == OSSC_OK);
  clock_gettime(CLOCK_MONOTONIC, &after);
  CHECK(ossc_session_step_times(session, &times) == OSSC_OK);
  const ossc_step_time *first = times.steps, *last = &times.steps[times.count - 1];
  CHECK(first->begin_ns >= (int64_t)before.tv_sec * 1000000000 + before.tv_nsec);
  CHECK(last->end_ns <= (int64_t)after.tv_sec * 1000000000 + after.tv_nsec);
  CHECK(last->end_ns > first->begin_ns);
  ossc_session_destroy(session);
}

/* The cache is then full of FILLED, whose mean with the token's own row the head sees. */
static void a_filled_session_stands_at_its_position(ossc_model* model) {
  const uint32_t bits = 0x3c3c3c3c;
  float filled, alone[VOCAB], deep[VOCAB], again[VOCAB];
  memcpy(&filled, &bits, sizeof(filled));
  ossc_session* session = new_session(model, 2);
  CHECK(ossc_session_decode(session, 3, alone) == OSSC_OK);
  CHECK(ossc_session_fill(session, CONTEXT - 1) == OSSC_OK);
  CHECK(position_of(session) == CONTEXT - 1);
  CHECK(ossc_session_decode(session, 3, deep) == OSSC_OK);
  CHECK_FAILS(ossc_session_decode(session, 3, again), OSSC_ERROR_CONTEXT, "position 24");
  float rows[VOCAB]; /* what a cache of FILLED alone would give, from the two that are known */
  for (int i = 0; i < VOCAB; ++i) rows[i] = (deep[i] * CONTEXT - alone[i]) / (CONTEXT - 1) / filled;
  CHECK(fabsf(rows[0]) > 1e-3f && fabsf(rows[1]) > 1e-3f);
  CHECK(ossc_session_fill(session, 1) == OSSC_OK);
  CHECK(ossc_session_decode(session, 3, again) == OSSC_OK);
  for (int i = 0; i < VOCAB; ++i) {
    CHECK(fabsf(again[i] - (alone[i] + rows[i] * filled) / 2) < 1e-4f);
  }
  CHECK_FAILS(ossc_session_fill(session, CONTEXT + 1), OSSC_ERROR_ARGUMENT, "0 to 24");
  CHECK_FAILS(ossc_session_fill(session, -1), OSSC_ERROR_ARGUMENT, "-1");
  CHECK(position_of(session) == 2);
  ossc_session_destroy(session);
}

/* A refused call leaves position, logits and routing as they are. */
static void refused_tokens_change_nothing(ossc_model* model) {
  float before[VOCAB], after[VOCAB], scratch[CONTEXT * VOCAB];
  const int32_t *first, *second;
  size_t first_count, second_count;
  int32_t bad[] = {1, VOCAB}, negative = -1, many[CONTEXT] = {0};
  ossc_session* session = new_session(model, 2);
  CHECK(ossc_session_prefill(session, prompt, 5, NULL) == OSSC_OK);
  CHECK(ossc_session_router_indices(session, &first, &first_count) == OSSC_OK);
  CHECK_FAILS(ossc_session_prefill(session, bad, 2, scratch), OSSC_ERROR_ARGUMENT, "Token id 40");
  CHECK_FAILS(ossc_session_decode(session, negative, scratch), OSSC_ERROR_ARGUMENT, "Token id -1");
  CHECK_FAILS(ossc_session_prefill(session, many, CONTEXT - 4, scratch), OSSC_ERROR_CONTEXT,
              "20 tokens at position 5 do not fit into the context of 24");
  CHECK_FAILS(ossc_session_prefill(session, prompt, 0, scratch), OSSC_ERROR_ARGUMENT, "No tokens");
  CHECK(position_of(session) == 5);
  CHECK(ossc_session_router_indices(session, &second, &second_count) == OSSC_OK);
  CHECK(first == second && first_count == second_count);
  CHECK(ossc_session_decode(session, prompt[5], after) == OSSC_OK);
  CHECK(ossc_session_reset(session) == OSSC_OK);
  CHECK(ossc_session_prefill(session, prompt, 6, before) == OSSC_OK);
  CHECK(memcmp(before, after, sizeof(before)) == 0);
  ossc_session_destroy(session);
}

static void the_whole_context_can_be_used(ossc_model* model) {
  float logits[VOCAB];
  int32_t many[CONTEXT] = {0};
  ossc_session* session = new_session(model, 2);
  CHECK(ossc_session_prefill(session, many, CONTEXT, logits) == OSSC_OK);
  CHECK_FAILS(ossc_session_decode(session, 0, logits), OSSC_ERROR_CONTEXT, "position 24");
  CHECK(ossc_session_reset(session) == OSSC_OK);
  CHECK(ossc_session_decode(session, 0, logits) == OSSC_OK);
  ossc_session_destroy(session);
}

/* In the first chunk nothing is lost; later ones have overwritten what the position needs. */
static void a_failed_kernel_is_reported(ossc_model* model, int32_t threads) {
  float logits[VOCAB];
  int32_t late[CHUNK + 2] = {1, 2, 3, 4, 5, CURSED_TOKEN_ID};
  ossc_session* session = new_session(model, threads);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK_FAILS(ossc_session_decode(session, CURSED_TOKEN_ID, logits), OSSC_ERROR_KERNEL,
              "test_embedding failed (ValueError: a cursed token in a test)");
  CHECK(position_of(session) == 1);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK_FAILS(ossc_session_prefill(session, late, CHUNK + 2, logits), OSSC_ERROR_KERNEL, "cursed");
  CHECK(position_of(session) == 2);
  CHECK_FAILS(ossc_session_decode(session, 1, logits), OSSC_ERROR_KERNEL, "reset it");
  CHECK(ossc_session_reset(session) == OSSC_OK);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  ossc_session_destroy(session);
}

static void null_and_nonsense_are_refused(ossc_model* model, const char* directory) {
  float logits[VOCAB];
  int32_t number;
  ossc_model* other = NULL;
  ossc_session* session = NULL;
  ossc_model_options model_options = {.weights_mode = (ossc_weights_mode)7};
  ossc_model_options unknown_kv = {.kv_type = (ossc_kv_type)9};
  ossc_model_options absent_kv = {.kv_type = OSSC_KV_F16};
  ossc_session_options session_options = {-1, false};
  CHECK_FAILS(ossc_model_open(NULL, NULL, &other), OSSC_ERROR_ARGUMENT, "NULL");
  CHECK_FAILS(ossc_model_open(directory, NULL, NULL), OSSC_ERROR_ARGUMENT, "NULL");
  CHECK_FAILS(ossc_model_open(directory, &model_options, &other), OSSC_ERROR_ARGUMENT, "7 is not");
  CHECK_FAILS(ossc_model_open(directory, &unknown_kv, &other), OSSC_ERROR_ARGUMENT, "9 is not");
  CHECK_FAILS(ossc_model_open(directory, &absent_kv, &other), OSSC_ERROR_BUNDLE, "plan.f16.bin");
  CHECK_FAILS(ossc_model_open("/nowhere", NULL, &other), OSSC_ERROR_BUNDLE, "/nowhere");
  CHECK_FAILS(ossc_session_create(NULL, NULL, &session), OSSC_ERROR_ARGUMENT, "NULL");
  CHECK_FAILS(ossc_session_create(model, &session_options, &session), OSSC_ERROR_ARGUMENT, "-1");
  CHECK(other == NULL && session == NULL);
  CHECK(ossc_model_get_info(model, NULL) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_prefill(NULL, prompt, 1, logits) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_decode(NULL, 1, logits) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_fill(NULL, 0) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_record_times(NULL, true) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_step_times(NULL, NULL) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_reset(NULL) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_position(NULL, &number) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_threads(NULL, &number) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_get_process_memory(NULL) == OSSC_ERROR_ARGUMENT);
  ossc_model_close(NULL);
  ossc_session_destroy(NULL);
  ossc_sampler_destroy(NULL);
}

static void resident_weights_give_the_same_logits(ossc_model* model, const char* directory) {
  float mapped[VOCAB], resident[VOCAB];
  ossc_model_options options = {.weights_mode = OSSC_WEIGHTS_RESIDENT};
  ossc_model* other = NULL;
  ossc_session *a = new_session(model, 1), *b = NULL;
  CHECK(ossc_model_open(directory, &options, &other) == OSSC_OK);
  CHECK(ossc_session_create(other, NULL, &b) == OSSC_OK);
  ossc_model_close(other); /* the session keeps it */
  CHECK(ossc_session_prefill(a, prompt, PROMPT, mapped) == OSSC_OK);
  CHECK(ossc_session_prefill(b, prompt, PROMPT, resident) == OSSC_OK);
  CHECK(memcmp(mapped, resident, sizeof(mapped)) == 0);
  ossc_session_destroy(a);
  ossc_session_destroy(b);
}

static void threads_are_those_asked_for(ossc_model* model) {
  int32_t threads = 0;
  ossc_session *three = new_session(model, 3), *all = NULL;
  CHECK(ossc_session_threads(three, &threads) == OSSC_OK && threads == 3);
  CHECK(ossc_session_create(model, NULL, &all) == OSSC_OK);
  CHECK(ossc_session_threads(all, &threads) == OSSC_OK && threads >= 1);
  ossc_session_destroy(three);
  ossc_session_destroy(all);
}

static void memory_is_measured(void) {
  ossc_process_memory memory;
  CHECK(ossc_get_process_memory(&memory) == OSSC_OK);
  CHECK(memory.anonymous_bytes > 0 && memory.peak_rss_bytes >= memory.anonymous_bytes);
  CHECK(memory.mapped_bytes > 0 &&
        memory.peak_rss_bytes >= memory.anonymous_bytes + memory.mapped_bytes);
}

int main(int argc, char** argv) {
  ossc_model* model = NULL;
  CHECK(argc == 2);
  CHECK(ossc_model_open(argv[1], NULL, &model) == OSSC_OK);
  the_model_says_what_it_is(model);
  for (int32_t threads = 1; threads <= 5; ++threads) {
    prefill_gives_the_logits_of_decode(model, threads);
    a_failed_kernel_is_reported(model, threads);
    steps_are_timed_when_asked(model, threads);
  }
  prefill_continues_from_the_position(model);
  routing_covers_every_token_of_the_call(model);
  routing_can_be_recorded_from_some_call_on(model);
  step_times_add_up_to_the_call(model);
  a_filled_session_stands_at_its_position(model);
  refused_tokens_change_nothing(model);
  the_whole_context_can_be_used(model);
  null_and_nonsense_are_refused(model, argv[1]);
  resident_weights_give_the_same_logits(model, argv[1]);
  threads_are_those_asked_for(model);
  memory_is_measured();
  ossc_model_close(model);
  return 0;
}
