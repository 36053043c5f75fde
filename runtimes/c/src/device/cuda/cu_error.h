#ifndef OSSC_CU_ERROR_H_
#define OSSC_CU_ERROR_H_

#include "device/cuda/cu_api.h"
#include "ossc.h"

/* Such as "CUDA_ERROR_OUT_OF_MEMORY"; "an unknown error" for a number that the driver does not
 * know. */
const char* cu_error_name(const cu_api* cu, int32_t error);

/* OSSC_OK for CU_SUCCESS; else why the device cannot do something, and what helps.
 *   device  its name
 *   what    completes "cannot …", such as "run kernels.cubin" */
ossc_status cu_check(const cu_api* cu, int32_t error, const char* device, const char* what);

#endif /* OSSC_CU_ERROR_H_ */
