/* The tensors of a plan as parts of its spaces, made once. */
#ifndef OSSC_CL_SLICES_H_
#define OSSC_CL_SLICES_H_

#include "device/opencl/cl_space.h"

/* Makes those of the spaces that are there.
 *   spaces      [plan.num_spaces]; those without a buffer are left out
 *   slices_out  [plan.num_tensors], NULL where the space is left out or no segment uses the tensor;
 *               released by cl_slices_free, also after a failure */
ossc_status cl_slices_make(const cl_target* target, const plan* p, const cl_space* spaces,
                           cl_memory** slices_out);

void cl_slices_free(const cl_target* target, const plan* p, cl_memory* slices);

#endif /* OSSC_CL_SLICES_H_ */
