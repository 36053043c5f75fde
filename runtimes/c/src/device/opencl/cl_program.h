#ifndef OSSC_CL_PROGRAM_H_
#define OSSC_CL_PROGRAM_H_

#include "device/opencl/cl_api.h"
#include "ossc.h"

/* A device in use, and what messages call it. */
typedef struct cl_target {
  const cl_api* cl;
  cl_device device;
  cl_context context;
  ossc_device_info info;
} cl_target;

/* Builds a file of OpenCL C, or takes what the driver made of it before.  path: with a folder. */
ossc_status cl_program_build(const cl_target* target, const char* path, cl_program* program_out);

#endif /* OSSC_CL_PROGRAM_H_ */
