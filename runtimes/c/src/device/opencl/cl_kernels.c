#include "device/opencl/cl_kernels.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "device/opencl/cl_error.h"

static cl_program find(const cl_programs* programs, const char* file) {
  for (size_t i = 0; i < programs->count; ++i) {
    if (strcmp(programs->all[i].file, file) == 0) return programs->all[i].program;
  }
  return NULL;
}

static ossc_status build(const cl_target* t, const char* directory, const char* file,
                         cl_programs* programs) {
  char path[FILE_PATH_BYTES];
  cl_program program;
  ossc_status status = file_path(directory, file, path);
  if (status == OSSC_OK) status = cl_program_build(t, path, &program);
  if (status != OSSC_OK) return status;
  programs->all[programs->count].file = file;
  programs->all[programs->count++].program = program;
  return OSSC_OK;
}

ossc_status cl_programs_kernel(const cl_programs* programs, const cl_target* target,
                               const plan_step* step, cl_kernel* kernel_out) {
  const plan_device_kernel* k = &step->device_kernel;
  int32_t error;
  *kernel_out = target->cl->clCreateKernel(find(programs, k->code), k->kernel, &error);
  if (error == CL_SUCCESS) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE, "%s has no kernel %.64s (%s); compile the model again.", k->code,
              k->kernel, cl_error_name(error));
}

static ossc_status check_arguments(const cl_target* t, const plan_step* step, cl_kernel kernel) {
  const plan_device_kernel* k = &step->device_kernel;
  uint32_t takes = 0, has = step->num_tensors + k->takes_rows;
  t->cl->clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof(takes), &takes, NULL);
  if (takes == has) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "The kernel %.64s takes %u arguments and the plan has %u for it; compile the model "
              "again.",
              k->kernel, (unsigned)takes, (unsigned)has);
}

/* What the device allows of a group. */
static ossc_status check_block(const cl_target* t, const plan_device_kernel* k) {
  size_t most = 0, sizes[3] = {0}, items = (size_t)k->block[0] * k->block[1] * k->block[2];
  t->cl->clGetDeviceInfo(t->device, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(most), &most, NULL);
  t->cl->clGetDeviceInfo(t->device, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof(sizes), sizes, NULL);
  bool fits = items <= most;
  for (int i = 0; i < 3; ++i) fits = fits && k->block[i] <= sizes[i];
  if (fits) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The kernel %.64s has groups of %u x %u x %u work-items and the OpenCL device %.64s "
              "runs at most %zu; choose another device with --device.",
              k->kernel, (unsigned)k->block[0], (unsigned)k->block[1], (unsigned)k->block[2],
              t->info.name, most);
}

static ossc_status check_local_memory(const cl_target* t, const plan_device_kernel* k,
                                      cl_kernel kernel) {
  uint64_t needed = 0, has = 0;
  t->cl->clGetKernelWorkGroupInfo(kernel, t->device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof(needed),
                                  &needed, NULL);
  t->cl->clGetDeviceInfo(t->device, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(has), &has, NULL);
  if (needed <= has) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The kernel %.64s shares %llu bytes in a group and the OpenCL device %.64s has %llu; "
              "choose another device with --device.",
              k->kernel, (unsigned long long)needed, t->info.name, (unsigned long long)has);
}

static ossc_status check_kernel(const cl_programs* programs, const cl_target* t,
                                const plan_step* step) {
  cl_kernel kernel;
  ossc_status status = cl_programs_kernel(programs, t, step, &kernel);
  if (status != OSSC_OK) return status;
  status = check_arguments(t, step, kernel);
  if (status == OSSC_OK) status = check_block(t, &step->device_kernel);
  if (status == OSSC_OK) status = check_local_memory(t, &step->device_kernel, kernel);
  t->cl->clReleaseKernel(kernel);
  return status;
}

static ossc_status add_step(const cl_target* t, const char* directory, const plan_step* step,
                            cl_programs* programs) {
  if (step->kind != PLAN_DEVICE_KERNEL) {
    return fail(OSSC_ERROR_BUNDLE,
                "The plan has a step that an OpenCL device does not run (%.64s); compile the model "
                "again.",
                step->label);
  }
  const char* file = step->device_kernel.code;
  ossc_status status = OSSC_OK;
  if (find(programs, file) == NULL) status = build(t, directory, file, programs);
  return status == OSSC_OK ? check_kernel(programs, t, step) : status;
}

ossc_status cl_programs_open(const cl_target* target, const plan* p, const char* directory,
                             cl_programs* programs_out) {
  *programs_out = (cl_programs){.all = calloc(p->num_steps + 1, sizeof(programs_out->all[0]))};
  if (programs_out->all == NULL) return fail_out_of_memory("the programs");
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    const plan_segment* segment = &p->segments[i];
    for (uint32_t j = 0; j < segment->num_steps && status == OSSC_OK; ++j) {
      status = add_step(target, directory, &segment->steps[j], programs_out);
    }
  }
  return status;
}

void cl_programs_free(const cl_target* target, cl_programs* programs) {
  for (size_t i = 0; i < programs->count; ++i) {
    target->cl->clReleaseProgram(programs->all[i].program);
  }
  free(programs->all);
  *programs = (cl_programs){0};
}
