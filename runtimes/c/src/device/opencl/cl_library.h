#ifndef OSSC_CL_LIBRARY_H_
#define OSSC_CL_LIBRARY_H_

#include "device/opencl/cl_api.h"
#include "ossc.h"

/* Names another library than libOpenCL: the driver itself, or one that is not on the loader's
 * path. */
#define CL_LIBRARY_VARIABLE "OSSC_OPENCL_LIBRARY"

/* Loads the library, once for the process; it stays, since drivers cannot be unloaded. */
ossc_status cl_library_load(const cl_api** api_out);

#endif /* OSSC_CL_LIBRARY_H_ */
