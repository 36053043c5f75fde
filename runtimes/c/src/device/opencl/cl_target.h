/* An OpenCL device in use. */
#ifndef OSSC_CL_TARGET_H_
#define OSSC_CL_TARGET_H_

#include "device/opencl/cl_api.h"
#include "ossc.h"

typedef struct cl_target {
  const cl_api* cl;
  cl_device device;
  cl_context context;
  bool has_clock; /* its events say how long the device worked */
  ossc_device_info info;
} cl_target;

/* Opens the device that is meant.  which: as in device_request. */
ossc_status cl_target_open(const char* which, cl_target* target_out);

/* Waits for everything in a queue. The clFinish of Mesa 22.3 does not wait for what clFlush has
 * handed over, but for a command behind it. */
int32_t cl_target_wait(const cl_target* target, cl_queue queue);

/* How long the device worked on what an event is of, in ns; 0 where its driver does not say. */
double cl_target_worked_ns(const cl_target* target, cl_event event);

/* Also of a target that was not opened. */
void cl_target_close(cl_target* target);

#endif /* OSSC_CL_TARGET_H_ */
