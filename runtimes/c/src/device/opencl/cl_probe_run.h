/* One way to do what a probe is of, on an OpenCL device. */
#ifndef OSSC_CL_PROBE_RUN_H_
#define OSSC_CL_PROBE_RUN_H_

#include "device/opencl/cl_target.h"
#include "device/probe_rounds.h"

typedef enum cl_probe_work {
  PROBE_READ,
  PROBE_COPY,
  PROBE_F32,
  PROBE_INT32,
  PROBE_LAUNCH,
} cl_probe_work;

typedef struct cl_probe_way {
  const char* probe;
  cl_probe_work work;
  const char* kernel; /* NULL: a command of the driver */
  size_t lanes;       /* of the vectors that a work-item has */
  bool own;           /* a work-item reads words that follow each other; else neighbours do */
} cl_probe_way;

/* Where it is done. */
typedef struct cl_probe_place {
  const cl_target* target;
  cl_queue queue; /* that takes times */
  cl_program program;
  cl_memory buffer, copy; /* copy: of half its size, where that half goes */
  size_t size_bytes;      /* of the buffer */
} cl_probe_place;

/* A way with its arguments. */
typedef struct cl_probe_run {
  const cl_probe_place* place;
  const cl_probe_way* way;
  cl_kernel kernel;
  size_t groups;
  double amount; /* bytes or operations of an iteration; 0: launches alone */
} cl_probe_run;

/* Released by cl_probe_run_free, also after a failure. */
ossc_status cl_probe_run_prepare(const cl_probe_place* place, const cl_probe_way* way,
                                 cl_probe_run* run_out);

/* A probe_round; the context is a cl_probe_run. By the device's clock, or where it has none by the
 * host's. */
ossc_status cl_probe_run_round(void* run, int64_t iterations, double* seconds_out);

void cl_probe_run_free(cl_probe_run* run);

#endif /* OSSC_CL_PROBE_RUN_H_ */
