/* Loops that do one thing as fast as this CPU can. */
#ifndef OSSC_PROBE_LOOPS_H_
#define OSSC_PROBE_LOOPS_H_

#include <stddef.h>
#include <stdint.h>

/* Reading: the whole data, so many times. Arithmetic: so many iterations, on no data.
 *   data  aligned to PROBE_READ_BYTES, size_bytes a multiple of it
 * The result only keeps the compiler from leaving the loop out. */
typedef uint64_t (*probe_loop_function)(const char* data, size_t size_bytes, int64_t iterations);

#define PROBE_READ_BYTES 512

typedef struct probe_loop {
  const char* name;    /* "read", "f32", "int8", … */
  const char* feature; /* that it needs, as in /proc/cpuinfo; NULL: none */
  int64_t operations;  /* in each iteration: two for a multiply-accumulate; 0: it reads */
  probe_loop_function run;
} probe_loop;

/* Those for this architecture; of one name the fastest first, and the last one runs on any CPU that
 * bundles run on. */
extern const probe_loop probe_loops[];
extern const size_t probe_loop_count;

#endif /* OSSC_PROBE_LOOPS_H_ */
