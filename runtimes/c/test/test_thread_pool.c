/* The thread pool: every task once, failures, idle and busy threads. Also run under TSan. */
#define _POSIX_C_SOURCE 200809L /* pthread_sigmask */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "check.h"
#include "base/error.h"
#include "device/host/thread_pool.h"
#include "base/ticks.h"

enum { MOST_TASKS = 5000 };

typedef struct counts {
  _Atomic int32_t done[MOST_TASKS];
  int32_t plain[MOST_TASKS]; /* not atomic: TSan sees whether two threads share a task */
  int32_t bad_task;
} counts;

static counts shared;
static const thread_ticks not_wanted = {0};

static ossc_status count_tasks(const void* context, int32_t begin, int32_t end) {
  const int32_t* addend = context;
  for (int32_t t = begin; t < end; ++t) {
    atomic_fetch_add(&shared.done[t], 1);
    shared.plain[t] += *addend;
    if (t == shared.bad_task) return fail(OSSC_ERROR_KERNEL, "task %d is bad", (int)t);
  }
  return OSSC_OK;
}

static thread_pool* new_pool(int32_t threads) {
  thread_pool* pool = NULL;
  CHECK(thread_pool_create(threads, &pool) == OSSC_OK);
  CHECK(thread_pool_threads(pool) == threads);
  memset(&shared, 0, sizeof(shared));
  shared.bad_task = -1;
  return pool;
}

static void every_task_is_done_once(int32_t threads) {
  thread_pool* pool = new_pool(threads);
  int32_t runs = 0;
  for (int32_t tasks = 0; tasks <= MOST_TASKS; tasks = tasks * 2 + 1, ++runs) {
    int32_t addend = tasks; /* on the stack: a thread that came late would read another one */
    CHECK(thread_pool_run(pool, count_tasks, &addend, tasks, not_wanted) == OSSC_OK);
  }
  for (int32_t t = 0; t < MOST_TASKS; ++t) {
    int32_t expected = 0, sum = 0;
    for (int32_t tasks = 0; tasks <= MOST_TASKS; tasks = tasks * 2 + 1) {
      expected += t < tasks;
      sum += t < tasks ? tasks : 0;
    }
    CHECK(shared.done[t] == expected && shared.plain[t] == sum);
  }
  thread_pool_destroy(pool);
}

/* Many short jobs, so that threads join, miss and leave at every moment. */
static void short_jobs_follow_each_other(int32_t threads, int32_t jobs) {
  thread_pool* pool = new_pool(threads);
  for (int32_t i = 0; i < jobs; ++i) {
    int32_t addend = 1;
    CHECK(thread_pool_run(pool, count_tasks, &addend, 2 + i % 7, not_wanted) == OSSC_OK);
  }
  CHECK(shared.plain[0] == jobs && shared.plain[1] == jobs);
  thread_pool_destroy(pool);
}

static void a_failure_is_reported_and_forgotten(int32_t threads) {
  thread_pool* pool = new_pool(threads);
  int32_t addend = 1;
  shared.bad_task = 77;
  CHECK_FAILS(thread_pool_run(pool, count_tasks, &addend, 1000, not_wanted), OSSC_ERROR_KERNEL,
              "task 77");
  shared.bad_task = -1;
  CHECK(thread_pool_run(pool, count_tasks, &addend, 1000, not_wanted) == OSSC_OK);
  thread_pool_destroy(pool);
}

/* Threads that worked leave increasing ticks; the others leave their zeros. */
static void threads_say_when_they_worked(int32_t threads) {
  enum { STRIDE = 64 };
  thread_pool* pool = new_pool(threads);
  int32_t addend = 1;
  for (int32_t tasks = 1; tasks <= 1000; tasks *= 10) {
    static int64_t numbers[9 * STRIDE];
    memset(numbers, 0, sizeof(numbers));
    int64_t before = ticks_now();
    CHECK(thread_pool_run(pool, count_tasks, &addend, tasks, (thread_ticks){numbers, STRIDE}) ==
          OSSC_OK);
    int64_t after = ticks_now();
    int32_t busy = 0;
    for (int32_t t = 0; t < threads; ++t) {
      const int64_t *ticks = numbers + t * STRIDE, begin = t == 0 ? before : ticks[0];
      busy += ticks[1] != 0;
      CHECK(ticks[1] == 0 || ticks[1] == TICKS_UNTIL_THE_END ||
            (before <= begin && begin <= ticks[1] && ticks[1] <= after));
      CHECK(t == 0 || (ticks[0] == 0) == (ticks[1] == 0));
    }
    CHECK(busy >= 1 && busy <= tasks);
    CHECK((numbers[1] == TICKS_UNTIL_THE_END) == (threads == 1 || tasks == 1));
  }
  thread_pool_destroy(pool);
}

/* Two tasks that wait for each other, so that two threads have to take one each. */
static ossc_status meet(const void* context, int32_t begin, int32_t end) {
  (void)context;
  atomic_fetch_add(&shared.done[0], end - begin);
  while (atomic_load(&shared.done[0]) < 2) continue;
  return OSSC_OK;
}

static void each_thread_has_its_own_ticks(int32_t threads) {
  enum { STRIDE = 2 };
  int64_t numbers[9 * STRIDE] = {0};
  int32_t busy = 0;
  thread_pool* pool = new_pool(threads);
  CHECK(thread_pool_run(pool, meet, NULL, 2, (thread_ticks){numbers, STRIDE}) == OSSC_OK);
  for (int32_t t = 0; t < threads; ++t) busy += numbers[t * STRIDE + 1] != 0;
  CHECK(busy == 2);
  thread_pool_destroy(pool);
}

static ossc_status check_signals(const void* context, int32_t begin, int32_t end) {
  sigset_t blocked;
  CHECK(pthread_sigmask(SIG_SETMASK, NULL, &blocked) == 0);
  bool is_caller = pthread_equal(pthread_self(), *(const pthread_t*)context);
  CHECK(sigismember(&blocked, SIGINT) == !is_caller);
  CHECK(!sigismember(&blocked, SIGBUS) && !sigismember(&blocked, SIGSEGV));
  return meet(context, begin, end);
}

/* A fault that is blocked ends the process without asking its handlers. */
static void workers_leave_sent_signals_to_others_and_keep_their_faults(int32_t threads) {
  pthread_t caller = pthread_self();
  thread_pool* pool = new_pool(threads);
  CHECK(thread_pool_run(pool, check_signals, &caller, 2, not_wanted) == OSSC_OK);
  thread_pool_destroy(pool);
}

static void a_pool_may_go_unused(int32_t threads) { thread_pool_destroy(new_pool(threads)); }

int main(void) {
  for (int32_t threads = 1; threads <= 9; threads += 2) {
    every_task_is_done_once(threads);
    short_jobs_follow_each_other(threads, 2000);
    a_failure_is_reported_and_forgotten(threads);
    threads_say_when_they_worked(threads);
    if (threads > 1) each_thread_has_its_own_ticks(threads);
    if (threads > 1) workers_leave_sent_signals_to_others_and_keep_their_faults(threads);
    a_pool_may_go_unused(threads);
  }
  return 0;
}
