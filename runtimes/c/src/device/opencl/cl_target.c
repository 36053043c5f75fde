#include "device/opencl/cl_target.h"

#include "device/opencl/cl_devices.h"
#include "device/opencl/cl_error.h"
#include "device/opencl/cl_library.h"

/* Mesa's rusticl has no clock, and says so here; the times of its events are 0 or 1 ns. */
static bool has_clock(const cl_target* t) {
  size_t ns = 0;
  int32_t error = t->cl->clGetDeviceInfo(t->device, CL_DEVICE_PROFILING_TIMER_RESOLUTION,
                                         sizeof(ns), &ns, NULL);
  return error == CL_SUCCESS && ns > 0;
}

static ossc_status open_chosen(const cl_devices* devices, const listed_device* chosen,
                               cl_target* target) {
  int32_t error;
  target->device = devices->handles[chosen->info.index];
  target->info = chosen->info;
  target->has_clock = has_clock(target);
  target->context = target->cl->clCreateContext(NULL, 1, &target->device, NULL, NULL, &error);
  return cl_check(error, target->info.name, "be opened");
}

ossc_status cl_target_open(const char* which, cl_target* target_out) {
  const listed_device* chosen;
  cl_devices devices = {0};
  ossc_status status = cl_library_load(&target_out->cl);
  if (status == OSSC_OK) status = cl_devices_list(target_out->cl, &devices);
  if (status == OSSC_OK) status = listed_devices_choose(&devices.listed, which, &chosen);
  if (status == OSSC_OK) status = open_chosen(&devices, chosen, target_out);
  cl_devices_free(&devices);
  return status;
}

int32_t cl_target_wait(const cl_target* target, cl_queue queue) {
  int32_t error = target->cl->clEnqueueMarkerWithWaitList(queue, 0, NULL, NULL);
  return error == CL_SUCCESS ? target->cl->clFinish(queue) : error;
}

double cl_target_worked_ns(const cl_target* target, cl_event event) {
  const cl_api* cl = target->cl;
  uint64_t begin = 0, end = 0;
  if (!target->has_clock) return 0;
  cl->clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof(begin), &begin, NULL);
  cl->clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL);
  return end > begin ? (double)(end - begin) : 0;
}

void cl_target_close(cl_target* target) {
  if (target->context != NULL) target->cl->clReleaseContext(target->context);
  target->context = NULL;
}
