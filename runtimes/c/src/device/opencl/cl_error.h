#ifndef OSSC_CL_ERROR_H_
#define OSSC_CL_ERROR_H_

#include "device/opencl/cl_api.h"
#include "ossc.h"

/* Such as "CL_OUT_OF_RESOURCES"; "an unknown error" for a number that the standard does not have.
 */
const char* cl_error_name(int32_t error);

/* OSSC_OK for CL_SUCCESS; else why the device cannot do something, and what helps.
 *   device  its name
 *   what    completes "cannot …", such as "run kernels.cl" */
ossc_status cl_check(int32_t error, const char* device, const char* what);

#endif /* OSSC_CL_ERROR_H_ */
