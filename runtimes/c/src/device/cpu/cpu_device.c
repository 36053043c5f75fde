#define _POSIX_C_SOURCE 200809L /* strdup */
#include "device/cpu/cpu_device.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

static ossc_status check_plan(const plan* p) {
  if (p->num_devices == 1 && strcmp(p->devices[0].kind, "cpu") == 0) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "The plan is for %u devices, the first of the kind %.32s, and a CPU runs plans for "
              "itself alone; compile the model for a CPU.",
              (unsigned)p->num_devices, p->devices[0].kind);
}

static ossc_status load_weights(cpu_device* d, ossc_weights_mode mode) {
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < d->plan->num_spaces && status == OSSC_OK; ++i) {
    const plan_space* space = &d->plan->spaces[i];
    char path[FILE_PATH_BYTES];
    if (space->use != PLAN_WEIGHTS) continue;
    status = file_path(d->directory, space->file, path);
    if (status == OSSC_OK) status = memory_load(path, space->size_bytes, mode, &d->weights[i]);
  }
  return status;
}

static ossc_status allocate(cpu_device* d, const char* directory) {
  d->directory = strdup(directory);
  d->weights = calloc((size_t)d->plan->num_spaces + 1, sizeof(memory));
  d->kernels = calloc((size_t)d->plan->num_steps + 1, sizeof(kernel_choice));
  bool complete = d->directory != NULL && d->weights != NULL && d->kernels != NULL;
  return complete ? OSSC_OK : fail_out_of_memory("a device");
}

static void close_device(device* base) {
  cpu_device* d = (cpu_device*)base;
  for (uint32_t i = 0; d->weights != NULL && i < d->plan->num_spaces; ++i) {
    memory_free(&d->weights[i]);
  }
  free(d->weights);
  free(d->kernels);
  free(d->directory);
  free(d);
}

/* All CPUs of the host are one device. */
static ossc_device_info describe(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  return (ossc_device_info){
      .kind = "cpu",
      .platform = "Linux",
      .name = "the CPU of this machine",
      .type = "cpu",
      .memory_bytes = pages < 0 || page_bytes < 0 ? 0 : (uint64_t)pages * (uint64_t)page_bytes,
      .shares_memory = true,
      .is_default = true,
  };
}

static ossc_status open_device(const device_request* request, device** device_out) {
  ossc_status status = check_plan(request->plan);
  if (status == OSSC_OK) status = memory_check_plan(request->plan);
  if (status == OSSC_OK) status = device_check_only(request->which);
  if (status != OSSC_OK) return status;
  cpu_device* d = calloc(1, sizeof(cpu_device));
  if (d == NULL) return fail_out_of_memory("a device");
  *d = (cpu_device){.base = {.api = &cpu_device_api, .info = describe()}, .plan = request->plan};
  status = allocate(d, request->directory);
  if (status == OSSC_OK) status = kernel_table_resolve(d->plan, d->kernels);
  if (status == OSSC_OK) status = load_weights(d, request->weights_mode);
  if (status == OSSC_OK) status = kernel_table_check(d->plan, d->weights, d->kernels);
  if (status != OSSC_OK) {
    close_device(&d->base);
    return status;
  }
  d->base.instruction_set = kernel_table_instruction_set(d->plan, d->kernels);
  *device_out = &d->base;
  return OSSC_OK;
}

static ossc_status check(const device* base) {
  const cpu_device* d = (const cpu_device*)base;
  for (uint32_t i = 0; i < d->plan->num_spaces; ++i) {
    if (!memory_is_cut(&d->weights[i])) continue;
    return memory_fail_cut(d->directory, d->plan->spaces[i].file);
  }
  return OSSC_OK;
}

static ossc_status list(ossc_device_info* devices_out, size_t capacity, size_t* count_out) {
  *count_out = 1;
  if (capacity > 0) devices_out[0] = describe();
  return OSSC_OK;
}

const device_api cpu_device_api = {
    .kind = "cpu",
    .list = list,
    .open = open_device,
    .check = check,
    .close = close_device,
    .start = cpu_queue_start,
    .run = cpu_queue_run,
    .write = cpu_queue_write,
    .read = cpu_queue_read,
    .copy = cpu_queue_copy,
    .fill = cpu_queue_fill,
    .finish = cpu_queue_finish,
    .release = cpu_queue_release,
};
