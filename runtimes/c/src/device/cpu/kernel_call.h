/* Calling one kernel. */
#ifndef OSSC_KERNEL_CALL_H_
#define OSSC_KERNEL_CALL_H_

#include "base/tvm_abi.h"
#include "bundle/plan.h"

/* The type of a buffer as kernels are given it. */
DLDataType kernel_data_type(plan_dtype dtype);

/* Calls a function of the step's kernel.
 * tensors: [step->num_tensors]; range: the tasks, first and behind the last, or NULL for a kernel
 * that has none. */
ossc_status kernel_call(const plan_step* step, tvm_function function, DLTensor* const* tensors,
                        const int32_t* range);

#endif /* OSSC_KERNEL_CALL_H_ */
