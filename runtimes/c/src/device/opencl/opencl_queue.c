#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/ticks.h"
#include "device/clock.h"
#include "device/opencl/cl_error.h"
#include "device/opencl/cl_library.h"
#include "device/opencl/cl_slices.h"
#include "device/opencl/opencl_device.h"

#define STAGING_BYTES ((size_t)1 << 16)
#define STEP_BYTES 96 /* of a message, for what failed */

/* A step with its arguments. */
typedef struct launch {
  cl_kernel kernel;
  int32_t rows; /* that it has as its argument */
} launch;

/* Bytes that the device may still have to take. */
typedef struct staging {
  char* data; /* [STAGING_BYTES] */
  size_t used;
} staging;

typedef struct opencl_queue {
  device_queue base;
  const opencl_device* device;
  cl_queue queue;      /* where the next command goes: one of these */
  cl_queue plain;      /* takes no times, which cost some */
  cl_queue with_times; /* NULL until times are wanted */
  cl_space* spaces;    /* [plan.num_spaces]; empty where a space is weights */
  cl_memory* tensors;  /* [plan.num_tensors]; NULL where a tensor is weights */
  launch* launches;    /* [plan.num_steps] */
  staging staging;
  device_clock clock;
} opencl_queue;

static ossc_status check_call(const opencl_queue* q, int32_t error, const char* what) {
  return cl_check(error, q->device->target.info.name, what);
}

/* After it, nothing that was staged is needed any more. */
static int32_t wait_for_all(opencl_queue* q) {
  q->staging.used = 0;
  return cl_target_wait(&q->device->target, q->queue);
}

static ossc_status create_queue(opencl_queue* q, uint64_t properties, cl_queue* queue_out) {
  const cl_target* t = &q->device->target;
  int32_t error;
  *queue_out = t->cl->clCreateCommandQueue(t->context, t->device, properties, &error);
  return check_call(q, error, "start a queue");
}

/* Lets commands go to the queue that takes times, or to the other one, in one order. */
static ossc_status choose_queue(opencl_queue* q, bool with_times) {
  ossc_status status = OSSC_OK;
  if (with_times && q->with_times == NULL) {
    status = create_queue(q, CL_QUEUE_PROFILING_ENABLE, &q->with_times);
  }
  cl_queue chosen = with_times ? q->with_times : q->plain;
  if (status != OSSC_OK || chosen == q->queue) return status;
  status = check_call(q, wait_for_all(q), "finish its work");
  q->queue = chosen;
  return status;
}

static cl_memory tensor_of(const opencl_queue* q, uint32_t tensor) {
  return q->tensors[tensor] != NULL ? q->tensors[tensor] : q->device->tensors[tensor];
}

static int32_t set_buffers(const opencl_queue* q, const plan_step* step, cl_kernel kernel) {
  int32_t error = CL_SUCCESS;
  for (uint32_t i = 0; i < step->num_tensors && error == CL_SUCCESS; ++i) {
    cl_memory buffer = tensor_of(q, step->tensors[i]);
    error = q->device->target.cl->clSetKernelArg(kernel, i, sizeof(buffer), &buffer);
  }
  return error;
}

static ossc_status prepare_step(opencl_queue* q, const plan_step* step) {
  const opencl_device* d = q->device;
  launch* l = &q->launches[step->number];
  ossc_status status = cl_programs_kernel(&d->programs, &d->target, step, &l->kernel);
  if (status != OSSC_OK) return status;
  return check_call(q, set_buffers(q, step, l->kernel), "take the buffers of a step");
}

static ossc_status prepare_steps(opencl_queue* q) {
  const plan* p = q->device->plan;
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    const plan_segment* segment = &p->segments[i];
    for (uint32_t j = 0; j < segment->num_steps && status == OSSC_OK; ++j) {
      status = prepare_step(q, &segment->steps[j]);
    }
  }
  return status;
}

static ossc_status allocate_spaces(opencl_queue* q) {
  const plan* p = q->device->plan;
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    if (p->spaces[i].use == PLAN_WEIGHTS) continue;
    status = cl_space_allocate(&q->device->target, &p->spaces[i], &q->spaces[i]);
  }
  if (status != OSSC_OK) return status;
  return cl_slices_make(&q->device->target, p, q->spaces, &q->tensors);
}

static ossc_status allocate(opencl_queue* q) {
  const plan* p = q->device->plan;
  q->spaces = calloc((size_t)p->num_spaces + 1, sizeof(cl_space));
  q->launches = calloc((size_t)p->num_steps + 1, sizeof(launch));
  q->staging.data = malloc(STAGING_BYTES);
  if (q->spaces == NULL || q->launches == NULL || q->staging.data == NULL) {
    return fail_out_of_memory("a session");
  }
  return allocate_spaces(q);
}

static ossc_status start_all(opencl_queue* q) {
  ossc_status status = create_queue(q, 0, &q->plain);
  q->queue = q->plain;
  if (status == OSSC_OK) status = allocate(q);
  if (status == OSSC_OK) status = prepare_steps(q);
  if (status == OSSC_OK) status = opencl_queue_fill(&q->base, 0);
  return status == OSSC_OK ? opencl_queue_finish(&q->base) : status;
}

ossc_status opencl_queue_start(const device* d, int32_t threads, device_queue** queue_out) {
  (void)threads; /* one hands out the work */
  opencl_queue* q = calloc(1, sizeof(opencl_queue));
  if (q == NULL) return fail_out_of_memory("a session");
  *q = (opencl_queue){.base = {d->api, 1},
                      .device = (const opencl_device*)d,
                      .clock = device_clock_start()};
  ossc_status status = start_all(q);
  if (status != OSSC_OK) {
    opencl_queue_release(&q->base);
    return status;
  }
  *queue_out = &q->base;
  return OSSC_OK;
}

static int32_t set_rows(const opencl_queue* q, const plan_step* step, int32_t rows) {
  launch* l = &q->launches[step->number];
  if (!step->device_kernel.takes_rows || l->rows == rows) return CL_SUCCESS;
  l->rows = rows;
  return q->device->target.cl->clSetKernelArg(l->kernel, step->num_tensors, sizeof(rows), &rows);
}

/* event_out: of the launch, or NULL. */
static int32_t launch_step(const opencl_queue* q, const plan_step* step, int32_t rows,
                           cl_event* event_out) {
  const plan_device_kernel* k = &step->device_kernel;
  size_t items[3], block[3];
  int32_t error = set_rows(q, step, rows);
  if (error != CL_SUCCESS) return error;
  for (int i = 0; i < 3; ++i) {
    block[i] = k->block[i];
    items[i] = (size_t)plan_count_groups(&k->grid[i], (uint32_t)rows) * block[i];
  }
  return q->device->target.cl->clEnqueueNDRangeKernel(q->queue, q->launches[step->number].kernel, 3,
                                                      NULL, items, block, 0, NULL, event_out);
}

static ossc_status check_step(const opencl_queue* q, int32_t error, const plan_step* step) {
  char what[STEP_BYTES];
  snprintf(what, sizeof(what), "run the step %s", step->label);
  return check_call(q, error, what);
}

static ossc_status run_steps(opencl_queue* q, const plan_segment* segment, step_range steps,
                             int32_t rows) {
  int32_t error = CL_SUCCESS;
  for (uint32_t i = 0; i < steps.count; ++i) {
    const plan_step* step = &segment->steps[steps.first + i];
    error = launch_step(q, step, rows, NULL);
    if (error != CL_SUCCESS) return check_step(q, error, step);
  }
  return check_call(q, q->device->target.cl->clFlush(q->queue), "begin its work");
}

/* How long the device worked, in ticks; TICKS_UNTIL_THE_END where its driver does not say. */
static int64_t read_ticks(const opencl_queue* q, cl_event event, int64_t begin_ticks) {
  double worked_ns = cl_target_worked_ns(&q->device->target, event);
  return device_clock_end(&q->clock, begin_ticks, worked_ns);
}

static ossc_status run_timed_step(opencl_queue* q, const plan_step* step, int32_t rows,
                                  thread_ticks ticks) {
  cl_event event = NULL;
  int64_t begin_ticks = ticks_now();
  int32_t error = launch_step(q, step, rows, &event);
  if (error == CL_SUCCESS) error = wait_for_all(q);
  if (error == CL_SUCCESS) ticks.first[1] = read_ticks(q, event, begin_ticks);
  if (event != NULL) q->device->target.cl->clReleaseEvent(event);
  return check_step(q, error, step);
}

ossc_status opencl_queue_run(device_queue* base, const plan_segment* segment, step_range steps,
                             int32_t num_tokens, thread_ticks ticks) {
  opencl_queue* q = (opencl_queue*)base;
  bool timed = ticks.first != NULL;
  ossc_status status = choose_queue(q, timed);
  if (status != OSSC_OK) return status;
  if (timed) return run_timed_step(q, &segment->steps[steps.first], num_tokens, ticks);
  return run_steps(q, segment, steps, num_tokens);
}

/* Where bytes wait for the device, which takes them later; NULL: there are too many. */
static char* stage(opencl_queue* q, const void* data, size_t size, int32_t* error_out) {
  *error_out = CL_SUCCESS;
  if (size > STAGING_BYTES) return NULL;
  if (size > STAGING_BYTES - q->staging.used) *error_out = wait_for_all(q);
  char* staged = q->staging.data + q->staging.used;
  memcpy(staged, data, size);
  q->staging.used += size;
  return staged;
}

ossc_status opencl_queue_write(device_queue* base, uint32_t tensor, size_t at, const void* data,
                               size_t size) {
  opencl_queue* q = (opencl_queue*)base;
  int32_t error;
  const char* staged = stage(q, data, size, &error);
  if (error == CL_SUCCESS) {
    bool wait = staged == NULL;
    error = q->device->target.cl->clEnqueueWriteBuffer(q->queue, tensor_of(q, tensor), wait, at,
                                                       size, wait ? data : staged, 0, NULL, NULL);
  }
  return check_call(q, error, "take input");
}

ossc_status opencl_queue_read(device_queue* base, uint32_t tensor, size_t at, void* data_out,
                              size_t size) {
  opencl_queue* q = (opencl_queue*)base;
  int32_t error = q->device->target.cl->clEnqueueReadBuffer(q->queue, tensor_of(q, tensor), true,
                                                            at, size, data_out, 0, NULL, NULL);
  q->staging.used = 0; /* the read came after all that was written */
  return check_call(q, error, "give its results");
}

/* Two tensors may be one place, or overlap. */
static bool overlap(const opencl_queue* q, uint32_t to, uint32_t from, size_t from_at,
                    size_t size) {
  const plan_tensor *a = &q->device->plan->tensors[to], *b = &q->device->plan->tensors[from];
  uint64_t begin = a->offset_bytes, other = b->offset_bytes + from_at;
  return a->space == b->space && begin < other + size && other < begin + size;
}

static ossc_status copy_by_host(device_queue* base, uint32_t to, uint32_t from, size_t from_at,
                                size_t size) {
  char* rows = malloc(size);
  if (rows == NULL) return fail_out_of_memory("rows of the hidden state");
  ossc_status status = opencl_queue_read(base, from, from_at, rows, size);
  if (status == OSSC_OK) status = opencl_queue_write(base, to, 0, rows, size);
  free(rows);
  return status;
}

ossc_status opencl_queue_copy(device_queue* base, uint32_t to, uint32_t from, size_t from_at,
                              size_t size) {
  opencl_queue* q = (opencl_queue*)base;
  if (overlap(q, to, from, from_at, size)) return copy_by_host(base, to, from, from_at, size);
  int32_t error = q->device->target.cl->clEnqueueCopyBuffer(
      q->queue, tensor_of(q, from), tensor_of(q, to), from_at, 0, size, 0, NULL, NULL);
  return check_call(q, error, "copy rows");
}

ossc_status opencl_queue_fill(device_queue* base, uint8_t byte) {
  opencl_queue* q = (opencl_queue*)base;
  const plan* p = q->device->plan;
  int32_t error = CL_SUCCESS;
  for (uint32_t i = 0; i < p->num_spaces && error == CL_SUCCESS; ++i) {
    if (p->spaces[i].use != PLAN_STATE) continue;
    error = cl_space_fill(q->device->target.cl, q->queue, &q->spaces[i], byte);
  }
  return check_call(q, error, "fill the KV cache");
}

ossc_status opencl_queue_finish(device_queue* base) {
  opencl_queue* q = (opencl_queue*)base;
  return check_call(q, wait_for_all(q), "finish its work");
}

/* What a device that does not answer may still read is not freed. */
static void end_work(opencl_queue* q) {
  bool ended = wait_for_all(q) == CL_SUCCESS || wait_for_all(q) == CL_SUCCESS;
  if (!ended) q->staging.data = NULL;
}

static void release_objects(opencl_queue* q) {
  const opencl_device* d = q->device;
  const cl_api* cl = d->target.cl;
  if (q->queue != NULL) end_work(q);
  for (uint32_t i = 0; q->launches != NULL && i < d->plan->num_steps; ++i) {
    if (q->launches[i].kernel != NULL) cl->clReleaseKernel(q->launches[i].kernel);
  }
  cl_slices_free(&d->target, d->plan, q->tensors);
  for (uint32_t i = 0; q->spaces != NULL && i < d->plan->num_spaces; ++i) {
    cl_space_free(&d->target, &q->spaces[i]);
  }
  if (q->plain != NULL) cl->clReleaseCommandQueue(q->plain);
  if (q->with_times != NULL) cl->clReleaseCommandQueue(q->with_times);
}

/* A child of the process that made the objects has no driver to give them back to. */
void opencl_queue_release(device_queue* base) {
  opencl_queue* q = (opencl_queue*)base;
  if (!cl_library_is_lost()) release_objects(q);
  free(q->staging.data);
  free(q->launches);
  free(q->spaces);
  free(q);
}
