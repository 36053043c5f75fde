/* ossc-run --measure: commands on stdin, one a line, and an answer in JSON for each on stdout.
 * docs/measuring.md is the specification. */
#ifndef OSSC_MEASURE_H_
#define OSSC_MEASURE_H_

#include "cli/run_options.h"

#define MEASURE_PROTOCOL 2

/* Opens the bundle and obeys until the end of stdin. A command that fails is answered with its
 * error and changes nothing. */
ossc_status measure(const run_options* options);

#endif /* OSSC_MEASURE_H_ */
