#include "device/opencl/cl_probe_run.h"

#include "device/opencl/cl_error.h"
#include "device/opencl/cl_probe_kernels.h"

#define MAX_READ_GROUPS 4096
#define COMPUTE_GROUPS 1024

static const cl_api* api_of(const cl_probe_run* r) { return r->place->target->cl; }

static int32_t set_int(const cl_probe_run* r, uint32_t index, int32_t value) {
  return api_of(r)->clSetKernelArg(r->kernel, index, sizeof(value), &value);
}

static int32_t set_float(const cl_probe_run* r, uint32_t index, float value) {
  return api_of(r)->clSetKernelArg(r->kernel, index, sizeof(value), &value);
}

/* Divides a buffer among groups, each with rows of a word for each work-item. */
static int32_t set_read(cl_probe_run* r) {
  size_t row_bytes = CL_PROBE_ITEMS * sizeof(uint32_t) * r->way->lanes, rows = 1;
  while (r->place->size_bytes / (row_bytes * rows) > MAX_READ_GROUPS) rows *= 2;
  r->groups = r->place->size_bytes / (row_bytes * rows);
  r->amount = (double)(r->groups * rows * row_bytes);
  int32_t error = set_int(r, 2, (int32_t)rows);
  if (error == CL_SUCCESS) error = set_int(r, 3, r->way->own ? 1 : CL_PROBE_ITEMS);
  if (error == CL_SUCCESS) error = set_int(r, 4, r->way->own ? (int32_t)rows : 1);
  return error;
}

/* Factors with which floats stay as they are in the end, and integers go round. */
static int32_t set_numbers(cl_probe_run* r) {
  bool floats = r->way->work == PROBE_F32;
  r->groups = COMPUTE_GROUPS;
  r->amount = 2.0 * CL_PROBE_SUMS * (double)(r->groups * CL_PROBE_ITEMS * r->way->lanes);
  int32_t error = floats ? set_float(r, 2, 0.5f) : set_int(r, 2, 3);
  if (error != CL_SUCCESS) return error;
  return floats ? set_float(r, 3, 0.25f) : set_int(r, 3, 1);
}

static int32_t set_arguments(cl_probe_run* r) {
  cl_memory buffer = r->place->buffer;
  int32_t error = api_of(r)->clSetKernelArg(r->kernel, 0, sizeof(buffer), &buffer);
  if (error != CL_SUCCESS) return error;
  if (r->way->work == PROBE_READ) return set_read(r);
  r->groups = 1;
  return r->way->work == PROBE_LAUNCH ? CL_SUCCESS : set_numbers(r);
}

static ossc_status check_call(const cl_probe_run* r, int32_t error) {
  return cl_check(error, r->place->target->info.name, "run a probe");
}

ossc_status cl_probe_run_prepare(const cl_probe_place* place, const cl_probe_way* way,
                                 cl_probe_run* run_out) {
  int32_t error;
  *run_out = (cl_probe_run){.place = place, .way = way, .amount = (double)place->size_bytes};
  if (way->work == PROBE_COPY) return OSSC_OK; /* it reads a half and writes as much */
  run_out->kernel = place->target->cl->clCreateKernel(place->program, way->kernel, &error);
  return check_call(run_out, error == CL_SUCCESS ? set_arguments(run_out) : error);
}

static int32_t begin(const cl_probe_run* r, int64_t repeats, cl_event* event_out) {
  const cl_probe_place* p = r->place;
  size_t items = r->groups * CL_PROBE_ITEMS, block = CL_PROBE_ITEMS;
  if (r->way->work == PROBE_COPY) {
    return api_of(r)->clEnqueueCopyBuffer(p->queue, p->buffer, p->copy, 0, 0, p->size_bytes / 2, 0,
                                          NULL, event_out);
  }
  int32_t error = set_int(r, 1, (int32_t)repeats);
  if (error != CL_SUCCESS) return error;
  return api_of(r)->clEnqueueNDRangeKernel(p->queue, r->kernel, 1, NULL, &items, &block, 0, NULL,
                                           event_out);
}

/* Adds what a command takes. */
static int32_t time_command(const cl_probe_run* r, int64_t repeats, double* seconds) {
  cl_event event = NULL;
  double start = probe_now_s(), worked_ns = 0;
  int32_t error = begin(r, repeats, &event);
  if (error == CL_SUCCESS) error = cl_target_wait(r->place->target, r->place->queue);
  double took_s = probe_now_s() - start;
  if (error == CL_SUCCESS) worked_ns = cl_target_worked_ns(r->place->target, event);
  if (event != NULL) api_of(r)->clReleaseEvent(event);
  *seconds += worked_ns > 0 ? 1e-9 * worked_ns : took_s;
  return error;
}

/* A kernel repeats its work itself; what cannot is begun again and again. */
ossc_status cl_probe_run_round(void* run, int64_t iterations, double* seconds_out) {
  const cl_probe_run* r = run;
  bool repeats = r->way->work != PROBE_COPY && r->way->work != PROBE_LAUNCH;
  int64_t commands = repeats ? 1 : iterations;
  int32_t error = CL_SUCCESS;
  *seconds_out = 0;
  for (int64_t i = 0; i < commands && error == CL_SUCCESS; ++i) {
    error = time_command(r, iterations / commands, seconds_out);
  }
  return check_call(r, error);
}

void cl_probe_run_free(cl_probe_run* run) {
  if (run->kernel != NULL) api_of(run)->clReleaseKernel(run->kernel);
  run->kernel = NULL;
}
