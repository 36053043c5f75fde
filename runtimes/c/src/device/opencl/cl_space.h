/* A space of the plan in the memory of an OpenCL device. */
#ifndef OSSC_CL_SPACE_H_
#define OSSC_CL_SPACE_H_

#include "bundle/plan.h"
#include "device/host/memory.h"
#include "device/opencl/cl_program.h"

typedef struct cl_space {
  cl_memory buffer; /* NULL where the space is empty */
  memory host;      /* the pages that it is, where the device shares them; else nothing */
  size_t size_bytes;
} cl_space;

/* Whether the device reads weights where the host has them. */
bool cl_space_is_shared(const cl_target* target, const plan_space* space, ossc_weights_mode mode);

/* Refuses a plan of which a space, or all that the device does not share, is too large for it, or
 * whose tensors begin where it cannot begin. */
ossc_status cl_space_check(const cl_target* target, const plan* p, ossc_weights_mode mode);

/* The file of a space of weights: its pages, or a copy. */
ossc_status cl_space_load(const cl_target* target, const plan_space* space, const char* directory,
                          ossc_weights_mode mode, cl_space* space_out);

/* Memory with any content. */
ossc_status cl_space_allocate(const cl_target* target, const plan_space* space,
                              cl_space* space_out);

/* Writes the byte to all of it, in the order of the queue. */
int32_t cl_space_fill(const cl_api* cl, cl_queue queue, const cl_space* space, uint8_t byte);

/* A part of it, which kernels take; released by clReleaseMemObject before the space is. */
ossc_status cl_space_slice(const cl_target* target, const cl_space* space, size_t offset_bytes,
                           size_t size_bytes, cl_memory* slice_out);

void cl_space_free(const cl_target* target, cl_space* space);

#endif /* OSSC_CL_SPACE_H_ */
