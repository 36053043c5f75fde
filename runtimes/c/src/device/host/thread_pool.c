#define _POSIX_C_SOURCE 200809L /* clock_gettime, pthread_sigmask */
#include "device/host/thread_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/ticks.h"
#include "base/tvm_abi.h"

#define SPIN_NANOSECONDS 100000
#define PAUSES_BETWEEN_CLOCK_READS 64
#define STACK_BYTES \
  ((size_t)2 << 20) /* kernels may keep tiles on the stack; musl's default is small */
#define MESSAGE_BYTES 1024

/* The state word: the number of the job, whether threads may still join it, whether the pool ends,
 * and how many workers are in it. One word, so that joining and closing exclude each other. */
#define ACTIVE_MASK ((uint64_t)0xffff)
#define OPEN ((uint64_t)1 << 16)
#define STOP ((uint64_t)1 << 17)
#define JOB_SHIFT 32

typedef struct worker {
  thread_pool* pool;
  pthread_t thread;
  int32_t index; /* of all threads; 0 is the caller */
} worker;

/* What threads write while others read something else has cache lines of its own; CPUs fetch lines
 * in pairs. */
#define OWN_LINES _Alignas(128)

/* What a thread has left of its tasks: the first in the upper half, the one behind the last in the
 * lower. Within a job no range comes back once a part of it was taken, so a thread that compares and
 * exchanges cannot be deceived. */
typedef struct share {
  OWN_LINES _Atomic uint64_t tasks;
} share;

struct thread_pool {
  OWN_LINES _Atomic uint64_t state;
  /* The job; written only while it is closed and no worker is in it, but for `failed`. */
  OWN_LINES thread_pool_range range;
  const void* context;
  thread_ticks ticks;
  _Atomic bool failed; /* nothing more is to be begun */
  share* shares;       /* [threads] */

  int32_t threads;
  pid_t process; /* whose threads they are */
  bool spins; /* every thread can have a CPU */
  pthread_mutex_t mutex;
  pthread_cond_t job_opened, last_left;
  _Atomic int32_t sleeping_workers;
  _Atomic bool caller_sleeps;
  ossc_status failure; /* of the job, with its message; guarded by the mutex */
  char message[MESSAGE_BYTES];
  int32_t num_workers;
  worker workers[];
};

static uint64_t job_of(uint64_t state) { return state >> JOB_SHIFT; }

static void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

static int64_t now_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

typedef bool (*state_test)(uint64_t state, uint64_t argument);

static bool is_new_job(uint64_t state, uint64_t last_job) {
  return (state & STOP) != 0 || ((state & OPEN) != 0 && job_of(state) != last_job);
}

static bool is_empty(uint64_t state, uint64_t unused) {
  (void)unused;
  return (state & ACTIVE_MASK) == 0;
}

/* Whether the state came to hold within the time for spinning. */
static bool spin_until(thread_pool* pool, state_test test, uint64_t argument) {
  if (test(atomic_load(&pool->state), argument)) return true;
  if (!pool->spins) return false;
  int64_t end = now_nanoseconds() + SPIN_NANOSECONDS;
  do {
    for (int i = 0; i < PAUSES_BETWEEN_CLOCK_READS; ++i) {
      if (test(atomic_load(&pool->state), argument)) return true;
      pause_cpu();
    }
  } while (now_nanoseconds() < end);
  return false;
}

static void wait_for_job(thread_pool* pool, uint64_t last_job) {
  if (spin_until(pool, is_new_job, last_job)) return;
  pthread_mutex_lock(&pool->mutex);
  atomic_fetch_add(&pool->sleeping_workers,
                   1); /* before the test: open_job reads them in reverse */
  while (!is_new_job(atomic_load(&pool->state), last_job)) {
    pthread_cond_wait(&pool->job_opened, &pool->mutex);
  }
  atomic_fetch_sub(&pool->sleeping_workers, 1);
  pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_workers(thread_pool* pool) {
  if (spin_until(pool, is_empty, 0)) return;
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->caller_sleeps, true); /* before the test: leave_job reads them in reverse */
  while (!is_empty(atomic_load(&pool->state), 0)) {
    pthread_cond_wait(&pool->last_left, &pool->mutex);
  }
  atomic_store(&pool->caller_sleeps, false);
  pthread_mutex_unlock(&pool->mutex);
}

static void wake_workers(thread_pool* pool) {
  if (atomic_load(&pool->sleeping_workers) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->job_opened);
  pthread_mutex_unlock(&pool->mutex);
}

static void open_job(thread_pool* pool) {
  uint64_t job = job_of(atomic_load(&pool->state)) + 1;
  atomic_store(&pool->state, job << JOB_SHIFT | OPEN);
  wake_workers(pool);
}

/* Enters the open job, so that it cannot be replaced; false when it was closed meanwhile. */
static bool join_job(thread_pool* pool, uint64_t* job_out) {
  uint64_t state = atomic_load(&pool->state);
  while ((state & OPEN) != 0) {
    if (atomic_compare_exchange_weak(&pool->state, &state, state + 1)) {
      *job_out = job_of(state);
      return true;
    }
  }
  return false;
}

static void leave_job(thread_pool* pool) {
  uint64_t state = atomic_fetch_sub(&pool->state, 1) - 1;
  if (!is_empty(state, 0) || !atomic_load(&pool->caller_sleeps)) return;
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_signal(&pool->last_left);
  pthread_mutex_unlock(&pool->mutex);
}

/* Tasks begin <= t < end. */
typedef struct tasks {
  int32_t begin, end;
} tasks;

static uint64_t pack_tasks(tasks t) { return (uint64_t)(uint32_t)t.begin << 32 | (uint32_t)t.end; }

static tasks unpack_tasks(uint64_t packed) {
  return (tasks){(int32_t)(packed >> 32), (int32_t)(uint32_t)packed};
}

static void share_out(thread_pool* pool, int32_t num_tasks) {
  for (int32_t t = 0; t < pool->threads; ++t) {
    int64_t begin = (int64_t)num_tasks * t / pool->threads;
    int64_t end = (int64_t)num_tasks * (t + 1) / pool->threads;
    uint64_t own = pack_tasks((tasks){(int32_t)begin, (int32_t)end});
    atomic_store_explicit(&pool->shares[t].tasks, own, memory_order_relaxed);
  }
}

/* Takes the first half of a share, or the last one; false when nothing is left. */
static bool take(share* from, bool last, tasks* taken_out) {
  uint64_t packed = atomic_load_explicit(&from->tasks, memory_order_relaxed), rest;
  tasks t;
  do {
    t = unpack_tasks(packed);
    if (t.begin >= t.end) return false;
    int32_t middle = last ? t.begin + (t.end - t.begin) / 2 : t.end - (t.end - t.begin) / 2;
    *taken_out = last ? (tasks){middle, t.end} : (tasks){t.begin, middle};
    rest = pack_tasks(last ? (tasks){t.begin, middle} : (tasks){middle, t.end});
  } while (!atomic_compare_exchange_weak(&from->tasks, &packed, rest));
  return true;
}

/* Moves half of what another thread has left to a thread's own share. */
static bool steal(thread_pool* pool, int32_t thread) {
  for (int32_t i = 1; i < pool->threads; ++i) {
    tasks stolen;
    if (!take(&pool->shares[(thread + i) % pool->threads], true, &stolen)) continue;
    atomic_store_explicit(&pool->shares[thread].tasks, pack_tasks(stolen), memory_order_relaxed);
    return true;
  }
  return false;
}

/* Takes a piece of what is left, first of the thread's own; false when nothing is. */
static bool claim(thread_pool* pool, int32_t thread, tasks* piece_out) {
  if (atomic_load_explicit(&pool->failed, memory_order_relaxed)) return false;
  while (!take(&pool->shares[thread], false, piece_out)) {
    if (!steal(pool, thread)) return false;
  }
  return true;
}

static void record_failure(thread_pool* pool, ossc_status status) {
  pthread_mutex_lock(&pool->mutex);
  if (pool->failure == OSSC_OK) {
    pool->failure = status;
    snprintf(pool->message, sizeof(pool->message), "%s", ossc_last_error());
  }
  pthread_mutex_unlock(&pool->mutex);
  atomic_store(&pool->failed, true);
}

static void work(thread_pool* pool, int32_t thread) {
  int64_t* ticks =
      pool->ticks.first == NULL ? NULL : pool->ticks.first + (size_t)thread * pool->ticks.stride;
  tasks piece;
  if (!claim(pool, thread, &piece)) return;
  if (ticks != NULL && thread > 0) ticks[0] = ticks_now();
  do {
    ossc_status status = pool->range(pool->context, piece.begin, piece.end);
    if (status != OSSC_OK) record_failure(pool, status);
  } while (claim(pool, thread, &piece));
  if (ticks != NULL) ticks[1] = ticks_now();
}

static void* worker_main(void* argument) {
  worker* self = argument;
  thread_pool* pool = self->pool;
  workspace scratch = {0};
  uint64_t last_job = 0;
  workspace_bind(&scratch);
  for (;;) {
    wait_for_job(pool, last_job);
    if ((atomic_load(&pool->state) & STOP) != 0) break;
    if (!join_job(pool, &last_job)) continue;
    work(pool, self->index);
    leave_job(pool);
  }
  workspace_free(&scratch);
  return NULL;
}

/* Signals that others send are for the caller's threads; a thread's own faults are its own, and
 * end the process without its handlers where they are blocked. */
static void fill_sent_signals(sigset_t* set) {
  const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
  sigfillset(set);
  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); ++i) sigdelset(set, faults[i]);
}

static ossc_status start_workers(thread_pool* pool) {
  pthread_attr_t attributes;
  sigset_t sent, previous;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return fail_out_of_memory("threads");
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  fill_sent_signals(&sent);
  pthread_sigmask(SIG_SETMASK, &sent, &previous);
  while (error == 0 && pool->num_workers < pool->threads - 1) {
    worker* next = &pool->workers[pool->num_workers];
    *next = (worker){.pool = pool, .index = pool->num_workers + 1};
    error = pthread_create(&next->thread, &attributes, worker_main, next);
    pool->num_workers += error == 0;
  }
  pthread_sigmask(SIG_SETMASK, &previous, NULL);
  pthread_attr_destroy(&attributes);
  if (error == 0) return OSSC_OK;
  return fail(OSSC_ERROR_MEMORY, "The system does not start %d threads; ask for fewer.",
              (int)pool->threads);
}

ossc_status thread_pool_create(int32_t threads, thread_pool** pool_out) {
  size_t bytes = sizeof(thread_pool) + (size_t)(threads - 1) * sizeof(worker);
  thread_pool* pool = NULL;
  share* shares = NULL;
  if (posix_memalign((void**)&shares, _Alignof(share), (size_t)threads * sizeof(share)) != 0) {
    return fail_out_of_memory("threads");
  }
  if (posix_memalign((void**)&pool, _Alignof(thread_pool), bytes) != 0) {
    free(shares);
    return fail_out_of_memory("threads");
  }
  memset(pool, 0, bytes);
  pool->shares = shares;
  pool->threads = threads;
  pool->process = getpid();
  pool->spins = threads <= cpu_count();
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->job_opened, NULL);
  pthread_cond_init(&pool->last_left, NULL);
  ossc_status status = start_workers(pool);
  if (status != OSSC_OK) {
    thread_pool_destroy(pool);
    return status;
  }
  *pool_out = pool;
  return OSSC_OK;
}

int32_t thread_pool_threads(const thread_pool* pool) { return pool->threads; }

ossc_status thread_pool_run(thread_pool* pool, thread_pool_range range, const void* context,
                            int32_t num_tasks, thread_ticks ticks) {
  if (pool->threads == 1 || num_tasks <= 1) {
    if (ticks.first != NULL) ticks.first[1] = TICKS_UNTIL_THE_END;
    return range(context, 0, num_tasks);
  }
  pool->range = range;
  pool->context = context;
  pool->ticks = ticks;
  pool->failure = OSSC_OK;
  atomic_store_explicit(&pool->failed, false, memory_order_relaxed);
  share_out(pool, num_tasks);
  open_job(pool);
  work(pool, 0);
  atomic_fetch_and(&pool->state, ~OPEN);
  wait_for_workers(pool);
  if (pool->failure != OSSC_OK) return fail(pool->failure, "%s", pool->message);
  return OSSC_OK;
}

/* A process that was forked has no workers to wait for, and maybe one of theirs holds the mutex. */
static void stop_workers(thread_pool* pool) {
  if (pool->process != getpid()) return;
  atomic_fetch_or(&pool->state, STOP);
  pthread_mutex_lock(&pool->mutex);
  pthread_cond_broadcast(&pool->job_opened);
  pthread_mutex_unlock(&pool->mutex);
  for (int32_t i = 0; i < pool->num_workers; ++i) pthread_join(pool->workers[i].thread, NULL);
  pthread_cond_destroy(&pool->last_left);
  pthread_cond_destroy(&pool->job_opened);
  pthread_mutex_destroy(&pool->mutex);
}

void thread_pool_destroy(thread_pool* pool) {
  if (pool == NULL) return;
  stop_workers(pool);
  free(pool->shares);
  free(pool);
}
