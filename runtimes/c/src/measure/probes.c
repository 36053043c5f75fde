#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "measure/probes.h"

#include <string.h>
#include <sys/mman.h>

#include "base/cpu.h"
#include "base/error.h"
#include "device/host/thread_pool.h"
#include "device/probe_rounds.h"
#include "measure/probe_loops.h"

#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define LAUNCH_TASKS_PER_THREAD 16 /* as a kernel of middle size has */

/* The work of a round; a task is a thread's share of it. */
typedef struct probe_work {
  const probe_loop* loop; /* NULL: steps that do nothing */
  char* data;             /* [threads, slice_bytes] */
  size_t slice_bytes;
  int64_t iterations;
} probe_work;

static const thread_ticks not_wanted = {0};

static ossc_status run_loop(const void* context, int32_t begin, int32_t end) {
  const probe_work* work = context;
  for (int32_t t = begin; t < end; ++t) {
    const char* slice = work->data + (size_t)t * work->slice_bytes;
    volatile uint64_t sink = work->loop->run(slice, work->slice_bytes, work->iterations);
    (void)sink;
  }
  return OSSC_OK;
}

static ossc_status do_nothing(const void* context, int32_t begin, int32_t end) {
  (void)context, (void)begin, (void)end;
  return OSSC_OK;
}

static ossc_status fill_slices(const void* context, int32_t begin, int32_t end) {
  const probe_work* work = context;
  size_t slice = work->slice_bytes;
  memset(work->data + (size_t)begin * slice, 1, (size_t)(end - begin) * slice);
  return OSSC_OK;
}

/* A round of a probe: its work on all threads of a pool. */
typedef struct pool_round {
  thread_pool* pool;
  probe_work* work;
} pool_round;

static void do_round(const pool_round* round) {
  int32_t threads = thread_pool_threads(round->pool);
  if (round->work->loop != NULL) {
    thread_pool_run(round->pool, run_loop, round->work, threads, not_wanted);
    return;
  }
  for (int64_t i = 0; i < round->work->iterations; ++i) {
    thread_pool_run(round->pool, do_nothing, round->work, LAUNCH_TASKS_PER_THREAD * threads,
                    not_wanted);
  }
}

static ossc_status time_round(void* context, int64_t iterations, double* seconds_out) {
  const pool_round* round = context;
  round->work->iterations = iterations;
  double start = probe_now_s();
  do_round(round);
  *seconds_out = probe_now_s() - start;
  return OSSC_OK;
}

static probe_result value_of(const probe_work* work, int32_t threads, const probe_rounds* rounds) {
  if (work->loop == NULL) return probe_rounds_ns(rounds);
  double each =
      work->loop->operations > 0 ? (double)work->loop->operations : (double)work->slice_bytes;
  return probe_rounds_rate(rounds, each * threads);
}

static ossc_status run_work(probe_work* work, int32_t threads, probe_result* result_out) {
  pool_round round = {NULL, work};
  probe_rounds rounds;
  ossc_status status = thread_pool_create(threads, &round.pool);
  if (status != OSSC_OK) return status;
  if (work->data != NULL) thread_pool_run(round.pool, fill_slices, work, threads, not_wanted);
  status = probe_rounds_time(time_round, &round, &rounds);
  thread_pool_destroy(round.pool);
  if (status == OSSC_OK) *result_out = value_of(work, threads, &rounds);
  return status;
}

/* The fastest loop of a name that this CPU can run; NULL when there is none. */
static const probe_loop* find_loop(const char* name) {
  for (size_t i = 0; i < probe_loop_count; ++i) {
    const probe_loop* loop = &probe_loops[i];
    bool runs = loop->feature == NULL || cpu_has(loop->feature);
    if (runs && strcmp(loop->name, name) == 0) return loop;
  }
  return NULL;
}

/* Of a buffer that is read. A program of 32 bits has at most half of its addresses for one. */
static int64_t most_bytes(void) {
  return sizeof(size_t) < sizeof(int64_t) ? (int64_t)(SIZE_MAX / 2) : PROBE_MAX_BYTES;
}

/* Reads a buffer in small pages, or in huge ones as far as the system gives them. */
static ossc_status run_read(int32_t threads, int64_t size_bytes, int advice,
                            probe_result* result_out) {
  size_t slice_bytes = (size_t)size_bytes / (size_t)threads / PROBE_READ_BYTES * PROBE_READ_BYTES;
  if (slice_bytes == 0 || size_bytes > most_bytes()) {
    return fail(OSSC_ERROR_ARGUMENT, "%d threads cannot read %lld bytes; give %d to %lld.",
                (int)threads, (long long)size_bytes, PROBE_READ_BYTES * (int)threads,
                (long long)most_bytes());
  }
  size_t pages_bytes = slice_bytes * (size_t)threads + HUGE_PAGE_BYTES;
  char* pages = mmap(NULL, pages_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return fail_out_of_memory("the buffer of a probe");
  size_t ahead_bytes = (HUGE_PAGE_BYTES - (uintptr_t)pages % HUGE_PAGE_BYTES) % HUGE_PAGE_BYTES;
  madvise(pages, pages_bytes, advice); /* a wish; the kernel may know no huge pages */
  probe_work work = {find_loop("read"), pages + ahead_bytes, slice_bytes, 0};
  ossc_status status = run_work(&work, threads, result_out);
  munmap(pages, pages_bytes);
  return status;
}

ossc_status probe_run(const char* name, int32_t threads, int64_t size_bytes,
                      probe_result* result_out) {
  if (strcmp(name, "read") == 0) {
    return run_read(threads, size_bytes, MADV_NOHUGEPAGE, result_out);
  }
  if (strcmp(name, "read_huge") == 0) {
    return run_read(threads, size_bytes, MADV_HUGEPAGE, result_out);
  }
  if (size_bytes != 0) {
    return fail(OSSC_ERROR_ARGUMENT, "The probe \"%.32s\" reads no buffer; leave its size out.",
                name);
  }
  probe_work work = {find_loop(name), NULL, 0, 0};
  if (work.loop == NULL && strcmp(name, "launch") != 0) {
    return fail(OSSC_ERROR_ARGUMENT, "This CPU has no probe \"%.32s\".", name);
  }
  return run_work(&work, threads, result_out);
}
