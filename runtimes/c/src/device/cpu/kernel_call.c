#include "device/cpu/kernel_call.h"

#include "base/error.h"

DLDataType kernel_data_type(plan_dtype dtype) {
  static const uint8_t codes[PLAN_NUM_DTYPES] = {DL_FLOAT,  DL_INT,  DL_UINT,  DL_INT,  DL_INT,
                                                 DL_BFLOAT, DL_UINT, DL_FLOAT, DL_BOOL, DL_INT};
  return (DLDataType){codes[dtype], (uint8_t)(8 * plan_dtype_bytes(dtype)), 1};
}

ossc_status kernel_call(const plan_step* step, tvm_function function, DLTensor* const* tensors,
                        const int32_t* range) {
  TVMFFIAny arguments[PLAN_MAX_STEP_TENSORS + 2], result = {0};
  int32_t count = 0;
  for (uint32_t i = 0; i < step->num_tensors; ++i) {
    arguments[count++] = (TVMFFIAny){TVM_FFI_DL_TENSOR_PTR, 0, {.v_ptr = tensors[i]}};
  }
  for (int i = 0; range != NULL && i < 2; ++i) {
    arguments[count++] = (TVMFFIAny){TVM_FFI_INT, 0, {.v_int64 = range[i]}};
  }
  error_clear();
  if (function(NULL, arguments, count, &result) == 0) return OSSC_OK;
  return fail(OSSC_ERROR_KERNEL, "The kernel %s failed (%s); compile the model again.",
              step->host_kernel.kernel, ossc_last_error());
}
