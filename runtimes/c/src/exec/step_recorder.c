#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "exec/step_recorder.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/ticks.h"

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void step_recorder_begin_call(step_recorder* r) {
  r->count = 0;
  r->in_ticks = true;
  r->begin_ns = now_ns();
  r->begin_ticks = r->last_ticks = ticks_now();
}

void step_recorder_end_call(step_recorder* r) {
  r->end_ticks = ticks_now();
  r->end_ns = now_ns();
}

/* Moves the ticks to where there are more steps between those of two threads. */
static bool grow_ticks(step_recorder* r, size_t capacity) {
  size_t threads = (size_t)r->threads, row = 2 * capacity;
  int64_t* ticks = malloc(threads * row * sizeof(int64_t));
  if (ticks == NULL) return false;
  for (size_t t = 0; t < threads && r->count > 0; ++t) {
    memcpy(ticks + t * row, r->ticks + t * 2 * r->capacity, 2 * r->count * sizeof(int64_t));
  }
  free(r->ticks);
  r->ticks = ticks;
  return true;
}

static ossc_status grow(step_recorder* r, size_t capacity) {
  size_t row_bytes = 2 * (size_t)r->threads * sizeof(int64_t);
  if (capacity > SIZE_MAX / (row_bytes + sizeof(ossc_step_time))) {
    return fail_out_of_memory("the times of the steps");
  }
  ossc_step_time* steps = realloc(r->steps, capacity * sizeof(ossc_step_time));
  if (steps != NULL) r->steps = steps;
  int64_t* thread_ns = realloc(r->thread_ns, capacity * row_bytes);
  if (thread_ns != NULL) r->thread_ns = thread_ns;
  if (steps == NULL || thread_ns == NULL || !grow_ticks(r, capacity)) {
    return fail_out_of_memory("the times of the steps");
  }
  r->capacity = capacity;
  return OSSC_OK;
}

ossc_status step_recorder_reserve(step_recorder* r, size_t num_steps) {
  size_t needed = r->count + num_steps;
  ossc_status status = needed > r->capacity ? grow(r, 2 * needed) : OSSC_OK;
  for (int32_t t = 0; t < r->threads && status == OSSC_OK; ++t) {
    int64_t* ticks = r->ticks + 2 * ((size_t)t * r->capacity + r->count);
    memset(ticks, 0, 2 * num_steps * sizeof(int64_t));
  }
  return status;
}

thread_ticks step_recorder_begin_step(step_recorder* r, ossc_step_time identity) {
  identity.begin_ns = r->last_ticks;
  r->steps[r->count] = identity;
  return (thread_ticks){r->ticks + 2 * r->count, 2 * r->capacity};
}

void step_recorder_end_step(step_recorder* r) {
  r->last_ticks = ticks_now();
  r->steps[r->count++].end_ns = r->last_ticks;
}

static int64_t to_ns(const step_recorder* r, int64_t ticks) {
  double span = (double)(r->end_ticks - r->begin_ticks);
  double part = span > 0 ? (double)(ticks - r->begin_ticks) / span : 0;
  return r->begin_ns + (int64_t)(part * (double)(r->end_ns - r->begin_ns));
}

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return value < least ? least : value > most ? most : value;
}

/* The times of a thread of a step, within the step even where the counters of two cores differ a
 * little. */
static void convert_thread(const step_recorder* r, size_t i, int32_t thread) {
  const ossc_step_time* step = &r->steps[i];
  const int64_t* ticks = r->ticks + 2 * ((size_t)thread * r->capacity + i);
  int64_t* ns = r->thread_ns + 2 * (i * (size_t)r->threads + (size_t)thread);
  ns[0] = ns[1] = 0;
  if (ticks[1] == 0) return;
  bool is_caller = thread == 0, until_the_end = ticks[1] == TICKS_UNTIL_THE_END;
  ns[0] = is_caller ? step->begin_ns : clamp(to_ns(r, ticks[0]), step->begin_ns, step->end_ns);
  ns[1] = until_the_end ? step->end_ns : clamp(to_ns(r, ticks[1]), ns[0], step->end_ns);
}

static void convert(step_recorder* r) {
  for (size_t i = 0; i < r->count; ++i) {
    r->steps[i].begin_ns = to_ns(r, r->steps[i].begin_ns);
    r->steps[i].end_ns = to_ns(r, r->steps[i].end_ns);
    for (int32_t t = 0; t < r->threads; ++t) convert_thread(r, i, t);
  }
  r->in_ticks = false;
}

ossc_step_times step_recorder_times(step_recorder* r) {
  if (r->in_ticks) convert(r);
  return (ossc_step_times){r->count, r->threads, r->steps, r->thread_ns};
}

void step_recorder_free(step_recorder* r) {
  free(r->steps);
  free(r->ticks);
  free(r->thread_ns);
  *r = (step_recorder){0};
}
