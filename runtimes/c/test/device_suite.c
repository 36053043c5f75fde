/* Every entry of device_api, over every kind of device, on the tests' bundle for the kind:
 * device_suite BUNDLE [OPENCL_BUNDLE]. What a kind that computes nothing answers is zeros. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <stdlib.h>

#include "base/file.h"
#include "check.h"
#include "device/device.h"

enum { VOCAB = 40, HIDDEN = 16, CURSED_TOKEN_ID = 39, THREADS = 2 };

static float embedding[VOCAB][HIDDEN];
static ossc_weights_mode weights_mode = OSSC_WEIGHTS_MAPPED;
static const thread_ticks not_wanted = {0};

/* A kind of device, and the bundle on it. */
typedef struct subject {
  const device_api* api;
  const char* directory;
  plan plan;
  device* device;
  bool computes;
} subject;

static void read_bundle_file(const char* directory, const char* name, char** data_out,
                             size_t* size_out) {
  char path[FILE_PATH_BYTES];
  CHECK(file_path(directory, name, path) == OSSC_OK);
  CHECK(file_read(path, 1 << 20, data_out, size_out) == OSSC_OK);
}

static void read_plan(const char* directory, plan* plan_out) {
  char* data;
  size_t size;
  read_bundle_file(directory, "plan.bin", &data, &size);
  CHECK(plan_parse(data, size, plan_out) == OSSC_OK);
  free(data);
}

static void read_embedding(const char* directory) {
  char* data;
  size_t size;
  read_bundle_file(directory, "weights.bin", &data, &size);
  CHECK(size == sizeof(embedding));
  memcpy(embedding, data, size);
  free(data);
}

static ossc_status open_subject(const device_api* api, const char* directory, subject* s) {
  *s = (subject){.api = api, .directory = directory, .computes = strcmp(api->kind, "null") != 0};
  read_plan(directory, &s->plan);
  const device_request request = {&s->plan, directory, weights_mode, ""};
  return api->open(&request, &s->device);
}

static void close_subject(subject* s) {
  if (s->device != NULL) s->api->close(s->device);
  plan_free(&s->plan);
}

static device_queue* start(const subject* s) {
  device_queue* queue = NULL;
  CHECK(s->api->start(s->device, THREADS, &queue) == OSSC_OK);
  CHECK(queue->api == s->api && queue->threads >= 1 && queue->threads <= THREADS);
  return queue;
}

static bool all_are(const void* data, size_t size, uint8_t byte) {
  for (size_t i = 0; i < size; ++i) {
    if (((const uint8_t*)data)[i] != byte) return false;
  }
  return true;
}

/* The bytes are those expected, or zeros where the kind computes nothing. */
static void check_answer(const subject* s, const void* answer, const void* expected, size_t size) {
  CHECK(s->computes ? memcmp(answer, expected, size) == 0 : all_are(answer, size, 0));
}

/* Reads bytes of a tensor, into memory that holds something else. */
static void read_bytes(device_queue* q, uint32_t tensor, size_t at, void* data_out, size_t size) {
  memset(data_out, 0xa5, size);
  CHECK(q->api->read(q, tensor, at, data_out, size) == OSSC_OK);
}

static size_t integer_bytes(const subject* s, uint32_t tensor) {
  return plan_dtype_bytes(s->plan.tensors[tensor].dtype);
}

/* Numbers as a tensor of i32 or i64 has them. */
static const void* as_integers(const subject* s, uint32_t tensor, const int64_t* values,
                               size_t count) {
  static int32_t narrow[8];
  if (s->plan.tensors[tensor].dtype == PLAN_I64) return values;
  for (size_t i = 0; i < count; ++i) narrow[i] = (int32_t)values[i];
  return narrow;
}

static void write_integers(const subject* s, device_queue* q, uint32_t tensor, size_t first,
                           const int64_t* values, size_t count) {
  size_t bytes = integer_bytes(s, tensor);
  const void* data = as_integers(s, tensor, values, count);
  CHECK(q->api->write(q, tensor, first * bytes, data, count * bytes) == OSSC_OK);
}

static void write_tokens(const subject* s, device_queue* q, const plan_segment* body,
                         const int64_t* ids, size_t count) {
  static const int64_t positions[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  write_integers(s, q, body->token_ids, 0, ids, count);
  write_integers(s, q, body->positions, 0, positions, count);
}

static ossc_status run_all(device_queue* q, const plan_segment* segment, int32_t rows) {
  const step_range all = {0, segment->num_steps};
  ossc_status status = q->api->run(q, segment, all, rows, not_wanted);
  ossc_status finished = q->api->finish(q);
  return status == OSSC_OK ? finished : status;
}

static void an_open_device_says_what_it_is(const subject* s) {
  CHECK(s->device->api == s->api);
  CHECK(s->device->instruction_set != NULL && s->device->instruction_set[0] != '\0');
  CHECK(s->api->check(s->device) == OSSC_OK);
}

static void the_state_begins_as_zeros(const subject* s) {
  float hidden[HIDDEN], logits[VOCAB];
  device_queue* q = start(s);
  read_bytes(q, s->plan.decode->hidden, 0, hidden, sizeof(hidden));
  read_bytes(q, s->plan.head->logits, 0, logits, sizeof(logits));
  CHECK(all_are(hidden, sizeof(hidden), 0) && all_are(logits, sizeof(logits), 0));
  s->api->release(q);
}

static void what_was_written_is_read(const subject* s) {
  const int64_t written[] = {11, -22, 33}, expected[] = {0, 11, -22, 33};
  int64_t answer[4];
  uint32_t ids = s->plan.prefill->token_ids;
  size_t bytes = integer_bytes(s, ids);
  device_queue* q = start(s);
  write_integers(s, q, ids, 1, written, 3);
  read_bytes(q, ids, 0, answer, 4 * bytes);
  check_answer(s, answer, as_integers(s, ids, expected, 4), 4 * bytes);
  read_bytes(q, ids, 2 * bytes, answer, bytes);
  check_answer(s, answer, as_integers(s, ids, &written[1], 1), bytes);
  s->api->release(q);
}

/* More than a device stages at once, and pieces of all sizes, in the order of the calls. */
static void many_writes_keep_their_order(const subject* s) {
  float answer[HIDDEN], written[HIDDEN] = {0};
  uint32_t hidden = s->plan.prefill->hidden;
  device_queue* q = start(s);
  for (int i = 0; i < 4000; ++i) {
    written[i % HIDDEN] = (float)i;
    CHECK(s->api->write(q, hidden, 0, written, sizeof(written)) == OSSC_OK);
  }
  read_bytes(q, hidden, 0, answer, sizeof(answer));
  check_answer(s, answer, written, sizeof(answer));
  s->api->release(q);
}

static void rows_are_copied_to_the_begin_of_another_tensor(const subject* s) {
  float answer[2][HIDDEN];
  const plan_segment *body = s->plan.prefill, *head = s->plan.block_head;
  device_queue* q = start(s);
  CHECK(s->api->write(q, body->hidden, 0, embedding, 4 * sizeof(embedding[0])) == OSSC_OK);
  CHECK(s->api->copy(q, head->hidden, body->hidden, sizeof(embedding[0]), sizeof(answer)) ==
        OSSC_OK);
  read_bytes(q, head->hidden, 0, answer, sizeof(answer));
  check_answer(s, answer, embedding[1], sizeof(answer));
  read_bytes(q, body->hidden, sizeof(embedding[0]), answer, sizeof(answer));
  check_answer(s, answer, embedding[1], sizeof(answer));
  s->api->release(q);
}

/* A plan may have both tensors in one place. */
static void rows_are_copied_over_each_other(const subject* s) {
  float answer[4][HIDDEN];
  uint32_t hidden = s->plan.prefill->hidden;
  device_queue* q = start(s);
  CHECK(s->api->write(q, hidden, 0, embedding, sizeof(answer)) == OSSC_OK);
  CHECK(s->api->copy(q, hidden, hidden, sizeof(answer[0]), 3 * sizeof(answer[0])) == OSSC_OK);
  read_bytes(q, hidden, 0, answer, sizeof(answer));
  check_answer(s, answer, embedding[1], 3 * sizeof(answer[0]));
  check_answer(s, answer[3], embedding[3], sizeof(answer[0]));
  s->api->release(q);
}

static uint32_t cache_of(const subject* s) {
  uint32_t tensor = 0;
  while (s->plan.tensors[tensor].role != PLAN_ROLE_CACHE) ++tensor;
  return tensor;
}

static void filling_reaches_the_whole_state_of_one_queue(const subject* s) {
  uint8_t expected[HIDDEN * sizeof(float)], answer[sizeof(expected)];
  device_queue *filled = start(s), *other = start(s);
  memset(expected, 0x3c, sizeof(expected));
  CHECK(s->api->fill(filled, 0x3c) == OSSC_OK);
  const uint32_t tensors[] = {s->plan.decode->hidden, s->plan.head->hidden, s->plan.head->logits,
                              cache_of(s)};
  for (size_t i = 0; i < 4; ++i) {
    read_bytes(filled, tensors[i], 0, answer, sizeof(answer));
    check_answer(s, answer, expected, sizeof(answer));
    read_bytes(other, tensors[i], 0, answer, sizeof(answer));
    CHECK(all_are(answer, sizeof(answer), 0));
  }
  s->api->release(filled);
  s->api->release(other);
}

/* The mean of a single embedding is the embedding; steps alone give what all give. */
static void steps_run_in_order_together_and_one_by_one(const subject* s) {
  const plan_segment* body = s->plan.decode;
  const int64_t id = 17;
  float answer[HIDDEN];
  device_queue *together = start(s), *single = start(s);
  write_tokens(s, together, body, &id, 1);
  CHECK(run_all(together, body, 1) == OSSC_OK);
  read_bytes(together, body->hidden, 0, answer, sizeof(answer));
  check_answer(s, answer, embedding[id], sizeof(answer));
  write_tokens(s, single, body, &id, 1);
  for (uint32_t i = 0; i < body->num_steps; ++i) {
    int64_t ticks[THREADS][2] = {{0}};
    const step_range one = {i, 1};
    const thread_ticks wanted = {ticks[0], 2};
    CHECK(s->api->run(single, body, one, 1, wanted) == OSSC_OK);
    CHECK(s->api->finish(single) == OSSC_OK);
    CHECK(ticks[0][1] != 0 || ticks[1][1] != 0);
  }
  read_bytes(single, body->hidden, 0, answer, sizeof(answer));
  check_answer(s, answer, embedding[id], sizeof(answer));
  s->api->release(together);
  s->api->release(single);
}

static void check_last_row(const subject* s, device_queue* q, const int64_t* ids, int32_t rows) {
  const plan_segment* body = s->plan.prefill;
  float answer[HIDDEN];
  write_tokens(s, q, body, ids, (size_t)rows);
  CHECK(run_all(q, body, rows) == OSSC_OK);
  read_bytes(q, body->hidden, (size_t)(rows - 1) * sizeof(answer), answer, sizeof(answer));
  check_answer(s, answer, embedding[ids[0]], sizeof(answer));
}

/* More rows than the run before, and fewer; the mean of equal embeddings is the embedding. */
static void a_run_has_the_rows_of_its_call(const subject* s) {
  const plan_segment* body = s->plan.prefill;
  const int64_t threes[] = {3, 3, 3, 3}, sixes[] = {6, 6, 6, 6}, mixed[] = {3, 3, 3, 8};
  int32_t chosen[4][2];
  const int32_t expected[4][2] = {{3, 0}, {3, 0}, {3, 0}, {0, 1}};
  device_queue* q = start(s);
  check_last_row(s, q, threes, 2);
  read_bytes(q, body->router_indices[0], 0, chosen, sizeof(chosen));
  CHECK(all_are(chosen[2], 2 * sizeof(chosen[2]), 0));
  check_last_row(s, q, sixes, 4);
  check_last_row(s, q, threes, 1);
  write_tokens(s, q, body, mixed, 4);
  CHECK(run_all(q, body, 4) == OSSC_OK);
  read_bytes(q, body->router_indices[0], 0, chosen, sizeof(chosen));
  check_answer(s, chosen, expected, sizeof(chosen));
  s->api->release(q);
}

static void queues_do_not_disturb_each_other(const subject* s) {
  const plan_segment* body = s->plan.decode;
  const int64_t ids[2] = {5, 6};
  float answer[HIDDEN];
  device_queue* queues[2] = {start(s), start(s)};
  for (int i = 0; i < 2; ++i) write_tokens(s, queues[i], body, &ids[i], 1);
  for (int i = 0; i < 2; ++i) CHECK(run_all(queues[i], body, 1) == OSSC_OK);
  for (int i = 0; i < 2; ++i) {
    read_bytes(queues[i], body->hidden, 0, answer, sizeof(answer));
    check_answer(s, answer, embedding[ids[i]], sizeof(answer));
    s->api->release(queues[i]);
  }
}

static void a_step_that_fails_ends_the_run(const subject* s) {
  if (strcmp(s->api->kind, "opencl") == 0) return; /* its kernels have no way to say so */
  const plan_segment* body = s->plan.decode;
  const int64_t cursed = CURSED_TOKEN_ID, id = 4;
  float answer[HIDDEN];
  device_queue* q = start(s);
  write_tokens(s, q, body, &cursed, 1);
  ossc_status status = run_all(q, body, 1);
  CHECK(status == (s->computes ? OSSC_ERROR_KERNEL : OSSC_OK));
  read_bytes(q, body->hidden, 0, answer, sizeof(answer));
  CHECK(all_are(answer, sizeof(answer), 0));
  write_tokens(s, q, body, &id, 1);
  CHECK(run_all(q, body, 1) == OSSC_OK);
  read_bytes(q, body->hidden, 0, answer, sizeof(answer));
  check_answer(s, answer, embedding[id], sizeof(answer));
  s->api->release(q);
}

/* `null` takes plans of any kind; all others only their own. */
static void a_plan_of_another_kind_is_refused(const device_api* api, const char* directory) {
  subject s;
  device* opened = NULL;
  bool takes_all = strcmp(api->kind, "null") == 0;
  CHECK(open_subject(api, directory, &s) == OSSC_OK);
  s.plan.devices[0].kind = "abacus";
  const device_request request = {&s.plan, directory, OSSC_WEIGHTS_MAPPED, ""};
  ossc_status status = api->open(&request, &opened);
  CHECK(status == (takes_all ? OSSC_OK : OSSC_ERROR_BUNDLE) && (opened != NULL) == takes_all);
  CHECK(takes_all || strstr(ossc_last_error(), "abacus") != NULL);
  if (opened != NULL) api->close(opened);
  close_subject(&s);
}

static void weights_that_are_not_there_are_refused(const device_api* api, const char* directory) {
  subject s;
  device* opened = NULL;
  if (strcmp(api->kind, "null") == 0) return;
  CHECK(open_subject(api, directory, &s) == OSSC_OK);
  s.plan.spaces[0].file = "nowhere.bin";
  const device_request request = {&s.plan, directory, OSSC_WEIGHTS_RESIDENT, ""};
  CHECK_FAILS(api->open(&request, &opened), OSSC_ERROR_BUNDLE, "nowhere.bin");
  CHECK(opened == NULL);
  close_subject(&s);
}

static void test_kind(const device_api* api, const char* directory) {
  static void (*const tests[])(const subject*) = {
      an_open_device_says_what_it_is,
      the_state_begins_as_zeros,
      what_was_written_is_read,
      many_writes_keep_their_order,
      rows_are_copied_to_the_begin_of_another_tensor,
      rows_are_copied_over_each_other,
      filling_reaches_the_whole_state_of_one_queue,
      steps_run_in_order_together_and_one_by_one,
      a_run_has_the_rows_of_its_call,
      queues_do_not_disturb_each_other,
      a_step_that_fails_ends_the_run,
  };
  for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); ++i) {
    subject s;
    CHECK(open_subject(api, directory, &s) == OSSC_OK);
    tests[i](&s);
    close_subject(&s);
  }
  a_plan_of_another_kind_is_refused(api, directory);
  weights_that_are_not_there_are_refused(api, directory);
}

/* The list does not depend on the room for it. */
static void devices_are_listed(const device_api* api) {
  ossc_device_info devices[8];
  size_t count = 99, again = 99, defaults = 0;
  CHECK(api->list(NULL, 0, &count) == OSSC_OK && count <= 8);
  CHECK(api->list(devices, 8, &again) == OSSC_OK && again == count);
  for (size_t i = 0; i < count; ++i) {
    CHECK(strcmp(devices[i].kind, api->kind) == 0 && devices[i].index == (int32_t)i);
    CHECK(devices[i].name[0] != '\0' && devices[i].memory_bytes > 0);
    defaults += devices[i].is_default;
  }
  CHECK(defaults == (count > 0));
}

static void a_device_that_is_not_there_is_refused(const device_api* api, const char* directory) {
  static const char* const others[] = {"99", "-1", "no such device"};
  for (size_t i = 0; i < 3; ++i) {
    subject s;
    device* opened = NULL;
    CHECK(open_subject(api, directory, &s) == OSSC_OK);
    const device_request request = {&s.plan, directory, OSSC_WEIGHTS_MAPPED, others[i]};
    CHECK_FAILS(api->open(&request, &opened), OSSC_ERROR_MACHINE, others[i]);
    CHECK(opened == NULL);
    close_subject(&s);
  }
}

static void check_choice(const plan* p, const char* wanted, const char* kind, const char* which) {
  device_choice choice = {0};
  CHECK(device_choose(p, wanted, &choice) == OSSC_OK);
  CHECK(strcmp(choice.api->kind, kind) == 0 && strcmp(choice.which, which) == 0);
}

static void the_caller_the_environment_or_the_plan_names_the_device(const char* directory) {
  device_choice choice;
  plan p;
  read_plan(directory, &p);
  unsetenv(DEVICE_VARIABLE);
  check_choice(&p, NULL, "cpu", "");
  setenv(DEVICE_VARIABLE, "", 1);
  check_choice(&p, "", "cpu", "");
  setenv(DEVICE_VARIABLE, "null", 1);
  check_choice(&p, NULL, "null", "");
  check_choice(&p, "opencl", "opencl", "");
  check_choice(&p, "opencl:", "opencl", "");
  check_choice(&p, "opencl:1", "opencl", "1");
  check_choice(&p, "opencl:a:b c", "opencl", "a:b c");
  setenv(DEVICE_VARIABLE, "warp", 1);
  CHECK_FAILS(device_choose(&p, NULL, &choice), OSSC_ERROR_MACHINE, "OSSC_DEVICE is warp");
  CHECK(strstr(ossc_last_error(), "set it to one of: cpu, opencl, null.") != NULL);
  CHECK_FAILS(device_choose(&p, "open:1", &choice), OSSC_ERROR_MACHINE, "The device is open:1");
  CHECK(strstr(ossc_last_error(), "or name one of: cpu, opencl, null.") != NULL);
  unsetenv(DEVICE_VARIABLE);
  p.devices[0].kind = "abacus";
  CHECK_FAILS(device_choose(&p, NULL, &choice), OSSC_ERROR_BUNDLE, "of the kind abacus");
  CHECK(strstr(ossc_last_error(), "cpu, opencl, null") != NULL);
  plan_free(&p);
}

/* Without a bundle for it, an OpenCL device is left out: there may be no driver. */
static void test_all(const device_api* api, const char* directory) {
  devices_are_listed(api);
  test_kind(api, directory);
  a_device_that_is_not_there_is_refused(api, directory);
  weights_mode = OSSC_WEIGHTS_RESIDENT;
  test_kind(api, directory);
  weights_mode = OSSC_WEIGHTS_MAPPED;
}

int main(int argc, char** argv) {
  CHECK(argc == 2 || argc == 3);
  read_embedding(argv[1]);
  for (const device_api* const* api = device_kinds; *api != NULL; ++api) {
    bool is_opencl = strcmp((*api)->kind, "opencl") == 0;
    if (!is_opencl) test_all(*api, argv[1]);
    if (is_opencl && argc == 3) test_all(*api, argv[2]);
  }
  the_caller_the_environment_or_the_plan_names_the_device(argv[1]);
  return 0;
}
