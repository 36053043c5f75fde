#include "device/cuda/cu_functions.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cuda/cu_error.h"
#include "device/cuda/cu_module.h"

static cu_module find(const cu_functions* functions, const char* file) {
  for (size_t i = 0; i < functions->num_modules; ++i) {
    if (strcmp(functions->modules[i].file, file) == 0) return functions->modules[i].module;
  }
  return NULL;
}

static ossc_status find_or_load(const cu_target* t, const char* directory, const char* file,
                                cu_functions* functions, cu_module* module_out) {
  *module_out = find(functions, file);
  if (*module_out != NULL) return OSSC_OK;
  ossc_status status = cu_module_load(t, directory, file, module_out);
  if (status != OSSC_OK) return status;
  functions->modules[functions->num_modules].file = file;
  functions->modules[functions->num_modules++].module = *module_out;
  return OSSC_OK;
}

/* What the device and the function allow of a group. */
static ossc_status check_block(const cu_target* t, const plan_device_kernel* k,
                               cu_function function) {
  int32_t most = 0;
  uint32_t items = k->block[0] * k->block[1] * k->block[2];
  t->cu->cuFuncGetAttribute(&most, CU_FUNCTION_MAX_THREADS_PER_BLOCK, function);
  bool fits = most > 0 && items <= (uint32_t)most;
  for (int i = 0; i < 3; ++i) {
    int32_t longest = cu_target_attribute(t, CU_MAX_BLOCK_DIM_X + i);
    fits = fits && k->block[i] <= (uint32_t)longest;
  }
  if (fits) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The kernel %.64s has groups of %u x %u x %u work-items and the CUDA device %.64s "
              "runs at most %d of it; choose another device with --device.",
              k->kernel, (unsigned)k->block[0], (unsigned)k->block[1], (unsigned)k->block[2],
              t->info.name, (int)most);
}

static ossc_status check_grid(const cu_target* t, const plan_device_kernel* k,
                              uint32_t max_tokens) {
  for (int i = 0; i < 3; ++i) {
    uint64_t groups = plan_count_groups(&k->grid[i], max_tokens);
    int32_t most = cu_target_attribute(t, CU_MAX_GRID_DIM_X + i);
    if (most > 0 && groups <= (uint64_t)most) continue;
    return fail(OSSC_ERROR_MACHINE,
                "The kernel %.64s has %llu groups in %c and the CUDA device %.64s runs at most %d; "
                "choose another device with --device, or compile the model with a smaller "
                "--prefill-chunk.",
                k->kernel, (unsigned long long)groups, "xyz"[i], t->info.name, (int)most);
  }
  return OSSC_OK;
}

static ossc_status fail_kind(const plan_step* step) {
  return fail(OSSC_ERROR_BUNDLE,
              "The plan has a step that a CUDA device does not run (%.64s); compile the model "
              "again.",
              step->label);
}

static ossc_status add_step(const cu_target* t, const char* directory, const plan_step* step,
                            uint32_t max_tokens, cu_functions* functions) {
  if (step->kind != PLAN_DEVICE_KERNEL) return fail_kind(step);
  const plan_device_kernel* k = &step->device_kernel;
  cu_function* function = &functions->by_step[step->number];
  cu_module module;
  ossc_status status = find_or_load(t, directory, k->code, functions, &module);
  if (status != OSSC_OK) return status;
  int32_t error = t->cu->cuModuleGetFunction(function, module, k->kernel);
  if (error != CU_SUCCESS) {
    return fail(OSSC_ERROR_BUNDLE, "%s has no kernel %.64s (%s); compile the model again.", k->code,
                k->kernel, cu_error_name(t->cu, error));
  }
  status = check_block(t, k, *function);
  return status == OSSC_OK ? check_grid(t, k, max_tokens) : status;
}

static ossc_status add_segment(const cu_target* t, const char* directory,
                               const plan_segment* segment, cu_functions* functions) {
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    status = add_step(t, directory, &segment->steps[i], segment->max_tokens, functions);
  }
  return status;
}

ossc_status cu_functions_open(const cu_target* target, const plan* p, const char* directory,
                              cu_functions* functions_out) {
  size_t count = (size_t)p->num_steps + 1;
  *functions_out = (cu_functions){.modules = calloc(count, sizeof(functions_out->modules[0])),
                                  .by_step = calloc(count, sizeof(cu_function))};
  if (functions_out->modules == NULL || functions_out->by_step == NULL) {
    return fail_out_of_memory("the kernels");
  }
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_segments && status == OSSC_OK; ++i) {
    status = add_segment(target, directory, &p->segments[i], functions_out);
  }
  return status;
}

void cu_functions_free(const cu_target* target, cu_functions* functions) {
  for (size_t i = 0; i < functions->num_modules; ++i) {
    target->cu->cuModuleUnload(functions->modules[i].module);
  }
  free(functions->modules);
  free(functions->by_step);
  *functions = (cu_functions){0};
}
