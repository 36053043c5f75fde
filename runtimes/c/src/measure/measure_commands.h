/* The commands of ossc-run --measure. */
#ifndef OSSC_MEASURE_COMMANDS_H_
#define OSSC_MEASURE_COMMANDS_H_

#include "device/prober.h"
#include "measure/measured_call.h"

typedef struct measurement {
  ossc_model* model;
  call_setting setting;
  device_prober* prober; /* NULL until a device is probed */
  char* probed;          /* the name by which it was opened */
  double load_s;
  uint64_t peak_anonymous_bytes; /* seen after the commands so far */
} measurement;

/* Replaces the session by a new one that observes the same. threads: 0 is one for each CPU. */
ossc_status measurement_start_session(measurement* m, int32_t threads);

int32_t measurement_threads(const measurement* m);

void measurement_close_prober(measurement* m);

/* Obeys one line, which it cuts up; writes the answer's object unless it fails. */
ossc_status measure_command(measurement* m, char* line, FILE* answer);

#endif /* OSSC_MEASURE_COMMANDS_H_ */
