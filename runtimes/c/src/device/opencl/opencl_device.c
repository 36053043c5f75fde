#define _POSIX_C_SOURCE 200809L /* strdup */
#include "device/opencl/opencl_device.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/opencl/cl_devices.h"
#include "device/opencl/cl_library.h"
#include "device/opencl/cl_prober.h"
#include "device/opencl/cl_slices.h"

static ossc_status check_plan(const plan* p) {
  if (p->num_devices == 1 && strcmp(p->devices[0].kind, CL_DEVICES_KIND) == 0) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "The plan is for %u devices, the first of the kind %.32s, and an OpenCL device runs "
              "plans for itself alone; compile the model for OpenCL.",
              (unsigned)p->num_devices, p->devices[0].kind);
}

static ossc_status allocate(opencl_device* d, const char* directory) {
  d->directory = strdup(directory);
  d->weights = calloc((size_t)d->plan->num_spaces + 1, sizeof(cl_space));
  bool complete = d->directory != NULL && d->weights != NULL;
  return complete ? OSSC_OK : fail_out_of_memory("a device");
}

static ossc_status load_weights(opencl_device* d, ossc_weights_mode mode) {
  const plan* p = d->plan;
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    if (p->spaces[i].use != PLAN_WEIGHTS) continue;
    status = cl_space_load(&d->target, &p->spaces[i], d->directory, mode, &d->weights[i]);
  }
  return status == OSSC_OK ? cl_slices_make(&d->target, p, d->weights, &d->tensors) : status;
}

static void release_objects(opencl_device* d) {
  cl_slices_free(&d->target, d->plan, d->tensors);
  for (uint32_t i = 0; d->weights != NULL && i < d->plan->num_spaces; ++i) {
    cl_space_free(&d->target, &d->weights[i]);
  }
  cl_programs_free(&d->target, &d->programs);
  cl_target_close(&d->target);
}

/* A child of the process that made the objects has no driver to give them back to. */
static void close_device(device* base) {
  opencl_device* d = (opencl_device*)base;
  if (!cl_library_is_lost()) release_objects(d);
  free(d->weights);
  free(d->directory);
  free(d);
}

static ossc_status open_all(opencl_device* d, const device_request* request) {
  ossc_status status = allocate(d, request->directory);
  if (status == OSSC_OK) status = cl_target_open(request->which, &d->target);
  d->base.info = d->target.info;
  if (status == OSSC_OK) status = cl_space_check(&d->target, d->plan, request->weights_mode);
  if (status == OSSC_OK) {
    status = cl_programs_open(&d->target, d->plan, d->directory, &d->programs);
  }
  return status == OSSC_OK ? load_weights(d, request->weights_mode) : status;
}

static ossc_status open_device(const device_request* request, device** device_out) {
  ossc_status status = check_plan(request->plan);
  if (status != OSSC_OK) return status;
  opencl_device* d = calloc(1, sizeof(opencl_device));
  if (d == NULL) return fail_out_of_memory("a device");
  *d = (opencl_device){.base = {.api = &opencl_device_api, .instruction_set = "base"},
                       .plan = request->plan};
  status = open_all(d, request);
  if (status != OSSC_OK) {
    close_device(&d->base);
    return status;
  }
  *device_out = &d->base;
  return OSSC_OK;
}

static ossc_status check(const device* base) {
  const opencl_device* d = (const opencl_device*)base;
  for (uint32_t i = 0; i < d->plan->num_spaces; ++i) {
    if (!memory_is_cut(&d->weights[i].host)) continue;
    return memory_fail_cut(d->directory, d->plan->spaces[i].file);
  }
  return OSSC_OK;
}

static ossc_status list(ossc_device_info* devices_out, size_t capacity, size_t* count_out) {
  const cl_api* cl;
  cl_devices devices;
  ossc_status status = cl_library_load(&cl);
  if (status == OSSC_OK) status = cl_devices_list(cl, &devices);
  if (status != OSSC_OK) return status;
  listed_devices_give(&devices.listed, devices_out, capacity, count_out);
  cl_devices_free(&devices);
  return OSSC_OK;
}

const device_api opencl_device_api = {
    .kind = CL_DEVICES_KIND,
    .list = list,
    .open_prober = cl_prober_open,
    .open = open_device,
    .check = check,
    .close = close_device,
    .start = opencl_queue_start,
    .run = opencl_queue_run,
    .write = opencl_queue_write,
    .read = opencl_queue_read,
    .copy = opencl_queue_copy,
    .fill = opencl_queue_fill,
    .finish = opencl_queue_finish,
    .release = opencl_queue_release,
};
