/* What happens to a session that two threads use, a process forks or a damaged file feeds:
 * test_guards BUNDLE, which is spoilt. */
#define _DEFAULT_SOURCE /* fork, mkstemp, truncate */
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/call_guard.h"
#include "check.h"
#include "exec/session.h"

enum { VOCAB = 40, HIDDEN = 16, CONTEXT = 24, CHUNK = 4, ROUNDS = 300, EARLIER_HANDLER = 7 };

static char weights_path[4096];

static ossc_session* new_session(ossc_model* model, int32_t threads) {
  ossc_session_options options = {threads, true};
  ossc_session* session = NULL;
  CHECK(ossc_session_create(model, &options, &session) == OSSC_OK);
  return session;
}

static void a_second_call_is_refused(ossc_model* model) {
  float logits[VOCAB];
  const int32_t* indices;
  size_t count;
  int32_t number = -1;
  ossc_step_times times;
  ossc_session* session = new_session(model, 1);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK(call_guard_begin(&session->guard, "session") == OSSC_OK);
  CHECK_FAILS(ossc_session_decode(session, 1, logits), OSSC_ERROR_BUSY,
              "Another call runs on this session");
  CHECK(ossc_session_prefill_all(session, &number, 1, logits) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_reset(session) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_fill(session, 0) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_record_routing(session, false) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_record_times(session, true) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_step_times(session, &times) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_router_indices(session, &indices, &count) == OSSC_ERROR_BUSY);
  CHECK(ossc_session_position(session, &number) == OSSC_OK && number == 1);
  CHECK(ossc_session_threads(session, &number) == OSSC_OK && number == 1);
  CHECK(call_guard_end(&session->guard, OSSC_OK) == OSSC_OK);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK(ossc_session_decode(session, VOCAB, logits) == OSSC_ERROR_ARGUMENT);
  CHECK(ossc_session_reset(session) == OSSC_OK); /* a call that failed has ended too */
  ossc_session_destroy(session);
}

typedef struct contender {
  ossc_session* session;
  ossc_sampler* sampler;
  int32_t done, sampled;
} contender;

static void* contend(void* argument) {
  contender* self = argument;
  float logits[VOCAB] = {1};
  for (int i = 0; i < ROUNDS; ++i) {
    int32_t token_id;
    ossc_status status = ossc_session_decode(self->session, 1, logits);
    CHECK(status == OSSC_OK || status == OSSC_ERROR_BUSY || status == OSSC_ERROR_CONTEXT);
    self->done += status == OSSC_OK;
    status = ossc_sampler_sample(self->sampler, logits, VOCAB, &token_id);
    CHECK(status == OSSC_OK || status == OSSC_ERROR_BUSY);
    self->sampled += status == OSSC_OK;
  }
  return NULL;
}

/* None is lost and none counts twice; ThreadSanitizer watches. */
static void two_threads_exclude_each_other(ossc_model* model) {
  ossc_sampler_options options = {.temperature = 1, .top_p = 1};
  ossc_session* session = new_session(model, 2);
  ossc_sampler* sampler = NULL;
  pthread_t other;
  int32_t position = -1;
  CHECK(ossc_sampler_create(&options, &sampler) == OSSC_OK);
  contender first = {session, sampler, 0, 0}, second = first;
  CHECK(pthread_create(&other, NULL, contend, &second) == 0);
  contend(&first);
  CHECK(pthread_join(other, NULL) == 0);
  CHECK(ossc_session_position(session, &position) == OSSC_OK);
  CHECK(first.done + second.done == position && position == CONTEXT);
  CHECK(first.sampled + second.sampled > 0);
  ossc_sampler_destroy(sampler);
  ossc_session_destroy(session);
}

/* The exit status of a child that does something; -1 when a signal ended it. */
static int in_child(void (*act)(ossc_session* session), ossc_session* session) {
  int status = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    act(session);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void use_and_destroy(ossc_session* session) {
  float logits[VOCAB];
  ossc_session* own = NULL;
  ossc_model* model = session->model;
  ossc_session_options options = {1, false};
  CHECK_FAILS(ossc_session_decode(session, 1, logits), OSSC_ERROR_ARGUMENT, "forked");
  CHECK(ossc_session_create(model, &options, &own) == OSSC_OK);
  CHECK(ossc_session_decode(own, 1, logits) == OSSC_OK);
  ossc_session_destroy(own);
  ossc_session_destroy(session); /* does not wait for threads that stayed behind */
}

static void a_forked_process_is_told(ossc_model* model) {
  float logits[VOCAB];
  ossc_session* session = new_session(model, 3);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK(in_child(use_and_destroy, session) == 0);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  ossc_session_destroy(session);
}

static void write_weight(size_t index, float value) {
  int descriptor = open(weights_path, O_WRONLY);
  CHECK(descriptor >= 0);
  CHECK(pwrite(descriptor, &value, sizeof(value), (off_t)(index * sizeof(value))) ==
        (ssize_t)sizeof(value));
  CHECK(close(descriptor) == 0);
}

/* The embedding is the head too: a row makes its token's hidden state and its own logit. */
static void logits_that_are_no_numbers_are_refused(ossc_model* model, float value) {
  enum { ROW = 3 };
  float logits[(CHUNK + 1) * VOCAB];
  const int32_t late[CHUNK + 1] = {1, 2, 1, 2, ROW};
  int32_t position = -1;
  ossc_session* session = new_session(model, 2);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  write_weight(ROW * HIDDEN + 2, value);
  CHECK_FAILS(ossc_session_decode(session, 1, logits), OSSC_ERROR_KERNEL, "ossc verify");
  CHECK_FAILS(ossc_session_decode(session, ROW, logits), OSSC_ERROR_KERNEL, "--against");
  CHECK(ossc_session_prefill_all(session, late, CHUNK + 1, logits) == OSSC_ERROR_KERNEL);
  CHECK(ossc_session_position(session, &position) == OSSC_OK && position == 1);
  write_weight(ROW * HIDDEN + 2, 0.5f);
  CHECK(ossc_session_reset(session) == OSSC_OK);
  CHECK(ossc_session_decode(session, ROW, logits) == OSSC_OK);
  ossc_session_destroy(session);
}

/* Nobody watches this mapping: it is the earlier handler's. */
static void touch_another_cut_file(ossc_session* session) {
  (void)session;
  char name[] = "/tmp/ossc-test-XXXXXX";
  int descriptor = mkstemp(name);
  CHECK(descriptor >= 0 && unlink(name) == 0 && ftruncate(descriptor, 1) == 0);
  volatile char* page = mmap(NULL, 1, PROT_READ, MAP_SHARED, descriptor, 0);
  CHECK(page != MAP_FAILED && ftruncate(descriptor, 0) == 0);
  _exit(page[0]);
}

static void send_the_signal(ossc_session* session) {
  (void)session;
  kill(getpid(), SIGBUS);
}

static void cut_weights_are_reported(ossc_model* model, const char* directory) {
  float logits[VOCAB];
  const int32_t prompt[] = {5, 1, 30, 2, 2, 8};
  ossc_model_options options = {.weights_mode = OSSC_WEIGHTS_RESIDENT};
  ossc_model *resident = NULL, *again = NULL;
  CHECK(ossc_model_open(directory, &options, &resident) == OSSC_OK);
  ossc_session *session = new_session(model, 3), *other = new_session(model, 1);
  ossc_session* copied = new_session(resident, 1);
  CHECK(ossc_session_decode(session, 1, logits) == OSSC_OK);
  CHECK(truncate(weights_path, 0) == 0);
  CHECK_FAILS(ossc_session_prefill(session, prompt, 6, logits), OSSC_ERROR_BUNDLE,
              "weights.bin was cut");
  CHECK_FAILS(ossc_session_decode(session, 1, logits), OSSC_ERROR_BUNDLE, "was cut");
  CHECK_FAILS(ossc_session_decode(other, 1, logits), OSSC_ERROR_BUNDLE, "was cut");
  CHECK(ossc_session_decode(copied, 1, logits) == OSSC_OK);
  CHECK(ossc_model_open(directory, NULL, &again) == OSSC_ERROR_BUNDLE);
  CHECK(in_child(touch_another_cut_file, session) == EARLIER_HANDLER);
  CHECK(in_child(send_the_signal, session) == EARLIER_HANDLER);
  ossc_session_destroy(session);
  ossc_session_destroy(other);
  ossc_session_destroy(copied);
  ossc_model_close(resident);
}

static void handle_earlier(int signal_number) {
  (void)signal_number;
  _exit(EARLIER_HANDLER);
}

int main(int argc, char** argv) {
  ossc_model* model = NULL;
  CHECK(argc == 2);
  snprintf(weights_path, sizeof(weights_path), "%s/weights.bin", argv[1]);
  signal(SIGBUS, handle_earlier);
  CHECK(ossc_model_open(argv[1], NULL, &model) == OSSC_OK);
  a_second_call_is_refused(model);
  two_threads_exclude_each_other(model);
  a_forked_process_is_told(model);
  logits_that_are_no_numbers_are_refused(model, NAN);
  logits_that_are_no_numbers_are_refused(model, INFINITY);
  cut_weights_are_reported(model, argv[1]);
  ossc_model_close(model);
  return 0;
}
