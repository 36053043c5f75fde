/* The CUDA devices of this machine. */
#ifndef OSSC_CU_DEVICES_H_
#define OSSC_CU_DEVICES_H_

#include "device/cuda/cu_api.h"
#include "device/listed_devices.h"

#define CU_DEVICES_KIND "cuda"

/* Finds all, in the driver's order; the first that can be used is the default. Released by
 * cu_devices_free. */
ossc_status cu_devices_list(const cu_api* cu, listed_devices* devices_out);

void cu_devices_free(listed_devices* devices);

/* An attribute of a device; 0 where the driver does not know it. */
int32_t cu_devices_attribute(const cu_api* cu, cu_device device, int32_t attribute);

#endif /* OSSC_CU_DEVICES_H_ */
