/* Which OpenCL devices there are. */
#ifndef OSSC_CL_DEVICES_H_
#define OSSC_CL_DEVICES_H_

#include "device/listed_devices.h"
#include "device/opencl/cl_api.h"

#define CL_DEVICES_KIND "opencl"

/* All of them in an order that does not change: by the names of their platforms, then as a
 * platform lists them. The default is the first GPU that can be used, else the first accelerator,
 * else the first CPU. */
typedef struct cl_devices {
  listed_devices listed;
  cl_device* handles; /* [listed.count] */
} cl_devices;

/* Asks all drivers; no device is no error. Release it with cl_devices_free. */
ossc_status cl_devices_list(const cl_api* cl, cl_devices* devices_out);

void cl_devices_free(cl_devices* devices);

#endif /* OSSC_CL_DEVICES_H_ */
