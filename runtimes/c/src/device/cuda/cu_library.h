#ifndef OSSC_CU_LIBRARY_H_
#define OSSC_CU_LIBRARY_H_

#include "device/cuda/cu_api.h"
#include "ossc.h"

/* Names another library than libcuda.so.1, such as one that is not on the loader's path. */
#define CU_LIBRARY_VARIABLE "OSSC_CUDA_LIBRARY"

/* Loads the driver's library and initializes it, once for the process; it stays, since drivers
 * cannot be unloaded. A driver without a device is no error. */
ossc_status cu_library_load(const cu_api** api_out);

/* Whether this process was forked from one that had loaded it: no call may be made then. */
bool cu_library_is_lost(void);

#endif /* OSSC_CU_LIBRARY_H_ */
