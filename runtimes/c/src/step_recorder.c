#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "step_recorder.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "error.h"
#include "ticks.h"

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

ossc_status step_recorder_reserve(step_recorder* r, size_t num_steps) {
  size_t needed = r->count + num_steps;
  if (needed <= r->capacity) return OSSC_OK;
  size_t capacity = 2 * needed;
  size_t row_bytes = 2 * (size_t)r->threads * sizeof(int64_t);
  ossc_step_time* steps = realloc(r->steps, capacity * sizeof(ossc_step_time));
  if (steps != NULL) r->steps = steps;
  int64_t* thread_ns = realloc(r->thread_ns, capacity * row_bytes);
  if (thread_ns != NULL) r->thread_ns = thread_ns;
  if (steps == NULL || thread_ns == NULL) return fail_out_of_memory("the times of the steps");
  r->capacity = capacity;
  return OSSC_OK;
}

int64_t* step_recorder_begin_step(step_recorder* r, ossc_step_time identity) {
  size_t row = 2 * (size_t)r->threads;
  int64_t* thread_ticks = r->thread_ns + r->count * row;
  memset(thread_ticks, 0, row * sizeof(int64_t));
  identity.begin_ns = r->last_ticks;
  r->steps[r->count] = identity;
  return thread_ticks;
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

/* A thread's times, within its step even where the counters of two cores differ a little. */
static void convert_thread(const step_recorder* r, const ossc_step_time* step, int64_t* times) {
  if (times[1] == 0) return;
  times[0] = clamp(to_ns(r, times[0]), step->begin_ns, step->end_ns);
  times[1] = clamp(to_ns(r, times[1]), times[0], step->end_ns);
}

static void convert(step_recorder* r) {
  for (size_t i = 0; i < r->count; ++i) {
    ossc_step_time* step = &r->steps[i];
    int64_t* row = r->thread_ns + i * 2 * (size_t)r->threads;
    step->begin_ns = to_ns(r, step->begin_ns);
    step->end_ns = to_ns(r, step->end_ns);
    for (int32_t t = 0; t < r->threads; ++t) convert_thread(r, step, row + 2 * t);
  }
  r->in_ticks = false;
}

ossc_step_times step_recorder_times(step_recorder* r) {
  if (r->in_ticks) convert(r);
  return (ossc_step_times){r->count, r->threads, r->steps, r->thread_ns};
}

void step_recorder_free(step_recorder* r) {
  free(r->steps);
  free(r->thread_ns);
  *r = (step_recorder){0};
}
