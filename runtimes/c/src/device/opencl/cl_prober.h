/* Probes of an OpenCL device, with kernels of their own. */
#ifndef OSSC_CL_PROBER_H_
#define OSSC_CL_PROBER_H_

#include "device/prober.h"

/* The entry of the api. The driver builds the kernels, or they come from the cache. */
ossc_status cl_prober_open(const char* which, device_prober** prober_out);

#endif /* OSSC_CL_PROBER_H_ */
