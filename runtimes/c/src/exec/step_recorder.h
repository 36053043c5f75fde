/* Times of the steps of one call, taken as the executor goes. */
#ifndef OSSC_STEP_RECORDER_H_
#define OSSC_STEP_RECORDER_H_

#include "device/threads.h"
#include "ossc.h"

typedef struct step_recorder {
  int32_t threads;
  size_t count, capacity;
  ossc_step_time* steps; /* [capacity]; in ticks until the times are asked for */
  int64_t* ticks;        /* [threads, capacity, 2]: as of thread_ticks; zeros: no task */
  int64_t* thread_ns;    /* [capacity, threads, 2] */
  bool in_ticks;
  /* The clock at both ends of the call; between them it is a straight line. */
  int64_t begin_ticks, begin_ns, end_ticks, end_ns;
  int64_t last_ticks; /* where the next step begins */
} step_recorder;

/* Forgets the steps and begins a call. */
void step_recorder_begin_call(step_recorder* r);

/* Makes room for more steps. */
ossc_status step_recorder_reserve(step_recorder* r, size_t num_steps);

/* Begins a step, for which there is room. Returns where its threads leave their ticks. */
thread_ticks step_recorder_begin_step(step_recorder* r, ossc_step_time identity);

void step_recorder_end_step(step_recorder* r);

void step_recorder_end_call(step_recorder* r);

/* The times of a call that ended, in ns. */
ossc_step_times step_recorder_times(step_recorder* r);

void step_recorder_free(step_recorder* r);

#endif /* OSSC_STEP_RECORDER_H_ */
