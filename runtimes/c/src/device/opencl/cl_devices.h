/* Which OpenCL devices there are, and which one is meant. */
#ifndef OSSC_CL_DEVICES_H_
#define OSSC_CL_DEVICES_H_

#include "device/opencl/cl_api.h"
#include "ossc.h"

#define CL_DEVICES_KIND "opencl"

/* A device that a driver offers. */
typedef struct cl_candidate {
  cl_device device;
  ossc_device_info info;
  const char* fault; /* why the runtime cannot use it; NULL: it can */
} cl_candidate;

/* All of them in an order that does not change: by the names of their platforms, then as a
 * platform lists them. */
typedef struct cl_devices {
  cl_candidate* all; /* [count] */
  size_t count;
} cl_devices;

/* Asks all drivers; no device is no error. Release it with cl_devices_free. */
ossc_status cl_devices_list(const cl_api* cl, cl_devices* devices_out);

void cl_devices_free(cl_devices* devices);

/* The device that is meant.
 *   which  its number, or a part of its platform's or its own name, in any case; "": the first GPU
 *          that can be used, else the first accelerator, else the first CPU */
ossc_status cl_devices_choose(const cl_devices* devices, const char* which,
                              const cl_candidate** chosen_out);

#endif /* OSSC_CL_DEVICES_H_ */
