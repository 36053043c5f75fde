#ifndef OSSC_CL_PROGRAM_H_
#define OSSC_CL_PROGRAM_H_

#include "device/opencl/cl_target.h"

/* Builds a file of OpenCL C, or takes what the driver made of it before.  path: with a folder. */
ossc_status cl_program_build(const cl_target* target, const char* path, cl_program* program_out);

/* The same with the code itself.  name: of it, for messages; lives as long as the call. */
ossc_status cl_program_build_code(const cl_target* target, const char* name, const char* code,
                                  cl_program* program_out);

#endif /* OSSC_CL_PROGRAM_H_ */
