#ifndef OSSC_CL_LIBRARY_H_
#define OSSC_CL_LIBRARY_H_

#include "device/opencl/cl_api.h"
#include "ossc.h"

/* Names another library than libOpenCL: the driver itself, or one that is not on the loader's
 * path. */
#define CL_LIBRARY_VARIABLE "OSSC_OPENCL_LIBRARY"

/* Loads the library, once for the process; it stays, since drivers cannot be unloaded. Refused in a
 * child whose parent has loaded it: the driver's threads are not in the child. */
ossc_status cl_library_load(const cl_api** api_out);

/* Whether this is such a child, which must not call the driver. */
bool cl_library_is_lost(void);

#endif /* OSSC_CL_LIBRARY_H_ */
