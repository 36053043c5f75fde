#include "device/opencl/cl_prober.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/opencl/cl_error.h"
#include "device/opencl/cl_library.h"
#include "device/opencl/cl_probe_kernels.h"
#include "device/opencl/cl_probe_run.h"
#include "device/opencl/cl_program.h"

#define MIN_READ_BYTES ((int64_t)1 << 14)
#define MAX_READ_BYTES ((int64_t)1 << 33)
#define SMALL_BYTES ((size_t)1 << 12) /* for kernels that read nothing */
#define SIZES 64                      /* powers of two */

/* Which one is the fastest depends on the device: a GPU likes neighbours to read neighbouring
 * words, a CPU each work-item a stretch of its own, and some drivers load slower than they copy. */
static const cl_probe_way ways[] = {
    {"read", PROBE_READ, "probe_read4", 4, false},
    {"read", PROBE_READ, "probe_read16", 16, true},
    {"read", PROBE_COPY, NULL, 1, false},
    {"f32", PROBE_F32, "probe_f32x4", 4, false},
    {"f32", PROBE_F32, "probe_f32x16", 16, false},
    {"int32", PROBE_INT32, "probe_int32x4", 4, false},
    {"int32", PROBE_INT32, "probe_int32x16", 16, false},
    {"launch", PROBE_LAUNCH, "probe_launch", 1, false},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

typedef struct cl_prober {
  device_prober base;
  cl_target target;
  cl_program program;
  cl_queue queue;
  const cl_probe_way* fastest_read[SIZES]; /* by the bits of a size; NULL: not known yet */
} cl_prober;

static ossc_status check_call(const cl_prober* p, int32_t error, const char* what) {
  return cl_check(error, p->target.info.name, what);
}

/* A buffer that was written: its pages are there. */
static ossc_status make_buffer(const cl_prober* p, size_t size_bytes, cl_memory* buffer_out) {
  const cl_target* t = &p->target;
  uint32_t zero = 0;
  int32_t error;
  *buffer_out = t->cl->clCreateBuffer(t->context, CL_MEM_READ_WRITE, size_bytes, NULL, &error);
  if (error == CL_SUCCESS) {
    error = t->cl->clEnqueueFillBuffer(p->queue, *buffer_out, &zero, sizeof(zero), 0,
                                       size_bytes & ~(sizeof(zero) - 1), 0, NULL, NULL);
  }
  if (error == CL_SUCCESS) error = cl_target_wait(t, p->queue);
  return check_call(p, error, "hold the buffer of a probe");
}

static void free_place(const cl_prober* p, cl_probe_place* place) {
  if (place->buffer != NULL) p->target.cl->clReleaseMemObject(place->buffer);
  if (place->copy != NULL) p->target.cl->clReleaseMemObject(place->copy);
}

/* The buffers of a probe of a size; 0: it reads nothing. */
static ossc_status make_place(const cl_prober* p, size_t size_bytes, cl_probe_place* place_out) {
  size_t size = size_bytes == 0 ? SMALL_BYTES : size_bytes;
  *place_out = (cl_probe_place){.target = &p->target,
                                .queue = p->queue,
                                .program = p->program,
                                .size_bytes = size};
  ossc_status status = make_buffer(p, size, &place_out->buffer);
  return status == OSSC_OK ? make_buffer(p, size / 2, &place_out->copy) : status;
}

/* One pass, after one in which the driver makes what it needs. */
static ossc_status time_once(cl_probe_run* run, double* seconds_out) {
  ossc_status status = cl_probe_run_round(run, 1, seconds_out);
  return status == OSSC_OK ? cl_probe_run_round(run, 1, seconds_out) : status;
}

static ossc_status time_way(const cl_probe_place* place, const cl_probe_way* way,
                            probe_result* result_out) {
  cl_probe_run run;
  probe_rounds rounds;
  ossc_status status = cl_probe_run_prepare(place, way, &run);
  if (status == OSSC_OK) status = probe_rounds_time(cl_probe_run_round, &run, &rounds);
  if (status == OSSC_OK) {
    bool launch = way->work == PROBE_LAUNCH;
    *result_out = launch ? probe_rounds_ns(&rounds) : probe_rounds_rate(&rounds, run.amount);
  }
  cl_probe_run_free(&run);
  return status;
}

/* Bytes of a pass over its time. */
static ossc_status try_read(const cl_probe_place* place, const cl_probe_way* way,
                            double* rate_out) {
  cl_probe_run run;
  double seconds = 0;
  ossc_status status = cl_probe_run_prepare(place, way, &run);
  if (status == OSSC_OK) status = time_once(&run, &seconds);
  *rate_out = run.amount / seconds;
  cl_probe_run_free(&run);
  return status;
}

static ossc_status find_fastest_read(const cl_probe_place* place, const cl_probe_way** way_out) {
  double best = 0, rate;
  for (size_t i = 0; i < WAYS; ++i) {
    if (strcmp(ways[i].probe, "read") != 0) continue;
    ossc_status status = try_read(place, &ways[i], &rate);
    if (status != OSSC_OK) return status;
    if (rate > best) *way_out = &ways[i];
    if (rate > best) best = rate;
  }
  return OSSC_OK;
}

static size_t bits_of(size_t size) {
  size_t bits = 0;
  while (size >>= 1) ++bits;
  return bits;
}

/* A pass through a large buffer may take half a second, so the ways are tried once for a size. */
static ossc_status run_read(cl_prober* p, const cl_probe_place* place, probe_result* result_out) {
  const cl_probe_way** fastest = &p->fastest_read[bits_of(place->size_bytes)];
  ossc_status status = *fastest == NULL ? find_fastest_read(place, fastest) : OSSC_OK;
  return status == OSSC_OK ? time_way(place, *fastest, result_out) : status;
}

/* The best of all ways. */
static ossc_status run_compute(const char* name, const cl_probe_place* place,
                               probe_result* result_out) {
  probe_result result;
  *result_out = (probe_result){0};
  for (size_t i = 0; i < WAYS; ++i) {
    if (strcmp(ways[i].probe, name) != 0) continue;
    ossc_status status = time_way(place, &ways[i], &result);
    if (status != OSSC_OK) return status;
    if (result.value > result_out->value) *result_out = result;
  }
  return OSSC_OK;
}

static ossc_status check_arguments(const char* name, int64_t size_bytes) {
  bool known = false, reads = strcmp(name, "read") == 0;
  for (size_t i = 0; i < WAYS; ++i) known = known || strcmp(ways[i].probe, name) == 0;
  if (!known) {
    return fail(OSSC_ERROR_ARGUMENT,
                "An OpenCL device has no probe \"%.32s\"; give read, f32, int32 or launch.", name);
  }
  if (reads && (size_bytes < MIN_READ_BYTES || size_bytes > MAX_READ_BYTES)) {
    return fail(OSSC_ERROR_ARGUMENT, "An OpenCL device cannot read %lld bytes; give %lld to %lld.",
                (long long)size_bytes, (long long)MIN_READ_BYTES, (long long)MAX_READ_BYTES);
  }
  if (reads || size_bytes == 0) return OSSC_OK;
  return fail(OSSC_ERROR_ARGUMENT, "The probe \"%.32s\" reads no buffer; leave its size out.",
              name);
}

static ossc_status run_probe(device_prober* base, const char* name, int64_t size_bytes,
                             probe_result* result_out) {
  cl_prober* p = (cl_prober*)base;
  cl_probe_place place;
  ossc_status status = check_arguments(name, size_bytes);
  if (status != OSSC_OK) return status;
  status = make_place(p, (size_t)size_bytes, &place);
  if (status == OSSC_OK && size_bytes > 0) status = run_read(p, &place, result_out);
  if (status == OSSC_OK && size_bytes == 0) status = run_compute(name, &place, result_out);
  free_place(p, &place);
  return status;
}

static void release_objects(cl_prober* p) {
  const cl_api* cl = p->target.cl;
  if (p->queue != NULL) cl->clReleaseCommandQueue(p->queue);
  if (p->program != NULL) cl->clReleaseProgram(p->program);
  cl_target_close(&p->target);
}

/* A child of the process that made the objects has no driver to give them back to. */
static void close_prober(device_prober* base) {
  cl_prober* p = (cl_prober*)base;
  if (!cl_library_is_lost()) release_objects(p);
  free(p);
}

static ossc_status open_all(cl_prober* p, const char* which) {
  int32_t error;
  ossc_status status = cl_target_open(which, &p->target);
  if (status != OSSC_OK) return status;
  const cl_target* t = &p->target;
  p->base.info = t->info;
  p->queue = t->cl->clCreateCommandQueue(t->context, t->device, CL_QUEUE_PROFILING_ENABLE, &error);
  status = check_call(p, error, "start a queue");
  if (status != OSSC_OK) return status;
  return cl_program_build_code(t, CL_PROBE_NAME, cl_probe_kernels, &p->program);
}

ossc_status cl_prober_open(const char* which, device_prober** prober_out) {
  cl_prober* p = calloc(1, sizeof(cl_prober));
  if (p == NULL) return fail_out_of_memory("a prober");
  p->base.run = run_probe;
  p->base.close = close_prober;
  ossc_status status = open_all(p, which);
  if (status != OSSC_OK) {
    close_prober(&p->base);
    return status;
  }
  *prober_out = &p->base;
  return OSSC_OK;
}
