#define _POSIX_C_SOURCE 200809L /* strdup */
#include "device/cuda/cuda_device.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cuda/cu_devices.h"
#include "device/cuda/cu_library.h"

static ossc_status check_plan(const plan* p) {
  if (p->num_devices == 1 && strcmp(p->devices[0].kind, CU_DEVICES_KIND) == 0) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "The plan is for %u devices, the first of the kind %.32s, and a CUDA device runs "
              "plans for itself alone; compile the model for CUDA.",
              (unsigned)p->num_devices, p->devices[0].kind);
}

static ossc_status load_weights(cuda_device* d, ossc_weights_mode mode) {
  const plan* p = d->plan;
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    if (p->spaces[i].use != PLAN_WEIGHTS) continue;
    status = cu_space_load(&d->target, &p->spaces[i], d->directory, mode, &d->weights[i]);
  }
  return status;
}

static ossc_status load(cuda_device* d, ossc_weights_mode mode) {
  ossc_status status = cu_target_enter(&d->target);
  if (status != OSSC_OK) return status;
  status = cu_functions_open(&d->target, d->plan, d->directory, &d->functions);
  if (status == OSSC_OK) status = load_weights(d, mode);
  cu_target_leave(&d->target);
  return status;
}

static void unload(cuda_device* d) {
  cu_functions_free(&d->target, &d->functions);
  for (uint32_t i = 0; d->weights != NULL && i < d->plan->num_spaces; ++i) {
    cu_space_free(&d->target, &d->weights[i]);
  }
}

/* Where the device was lost, the driver has freed all, and the calls fail. */
static void release_objects(cuda_device* d) {
  if (d->target.context == NULL || cu_library_is_lost()) return;
  bool entered = cu_target_try_enter(&d->target);
  unload(d);
  if (entered) cu_target_leave(&d->target);
  cu_target_close(&d->target);
}

static void close_device(device* base) {
  cuda_device* d = (cuda_device*)base;
  release_objects(d);
  free(d->weights);
  free(d->directory);
  free(d);
}

static ossc_status allocate(cuda_device* d, const char* directory) {
  d->directory = strdup(directory);
  d->weights = calloc((size_t)d->plan->num_spaces + 1, sizeof(cu_space));
  bool complete = d->directory != NULL && d->weights != NULL;
  return complete ? OSSC_OK : fail_out_of_memory("a device");
}

static ossc_status open_all(cuda_device* d, const device_request* request) {
  ossc_status status = allocate(d, request->directory);
  if (status == OSSC_OK) status = cu_target_open(request->which, &d->target);
  d->base.info = d->target.info;
  if (status == OSSC_OK) status = cu_space_check(&d->target, d->plan);
  return status == OSSC_OK ? load(d, request->weights_mode) : status;
}

static ossc_status open_device(const device_request* request, device** device_out) {
  ossc_status status = check_plan(request->plan);
  if (status != OSSC_OK) return status;
  cuda_device* d = calloc(1, sizeof(cuda_device));
  if (d == NULL) return fail_out_of_memory("a device");
  *d = (cuda_device){.base = {.api = &cuda_device_api, .instruction_set = "base"},
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
  const cuda_device* d = (const cuda_device*)base;
  for (uint32_t i = 0; i < d->plan->num_spaces; ++i) {
    if (!memory_is_cut(&d->weights[i].host)) continue;
    return memory_fail_cut(d->directory, d->plan->spaces[i].file);
  }
  return OSSC_OK;
}

static ossc_status list(ossc_device_info* devices_out, size_t capacity, size_t* count_out) {
  const cu_api* cu;
  listed_devices devices;
  ossc_status status = cu_library_load(&cu);
  if (status == OSSC_OK) status = cu_devices_list(cu, &devices);
  if (status != OSSC_OK) return status;
  listed_devices_give(&devices, devices_out, capacity, count_out);
  cu_devices_free(&devices);
  return OSSC_OK;
}

const device_api cuda_device_api = {
    .kind = CU_DEVICES_KIND,
    .list = list,
    .open = open_device,
    .check = check,
    .close = close_device,
    .start = cuda_queue_start,
    .run = cuda_queue_run,
    .write = cuda_queue_write,
    .read = cuda_queue_read,
    .copy = cuda_queue_copy,
    .fill = cuda_queue_fill,
    .finish = cuda_queue_finish,
    .release = cuda_queue_release,
};
