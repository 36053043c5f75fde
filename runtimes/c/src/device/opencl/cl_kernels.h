/* The programs of a plan, and the kernels that its steps launch. */
#ifndef OSSC_CL_KERNELS_H_
#define OSSC_CL_KERNELS_H_

#include "bundle/plan.h"
#include "device/opencl/cl_program.h"

/* The program of each file of code that the plan names. */
typedef struct cl_programs {
  size_t count;
  struct {
    const char* file; /* of the plan */
    cl_program program;
  } * all; /* [count] */
} cl_programs;

/* Builds them, and refuses a plan whose steps do not fit them or the device. Released by
 * cl_programs_free, also after a failure. */
ossc_status cl_programs_open(const cl_target* target, const plan* p, const char* directory,
                             cl_programs* programs_out);

/* What a step launches, with arguments of its own. */
ossc_status cl_programs_kernel(const cl_programs* programs, const cl_target* target,
                               const plan_step* step, cl_kernel* kernel_out);

void cl_programs_free(const cl_target* target, cl_programs* programs);

#endif /* OSSC_CL_KERNELS_H_ */
