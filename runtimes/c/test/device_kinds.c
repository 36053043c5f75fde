/* All kinds of devices; the compiler writes such a table for the kind of a bundle. */
#include "device/cpu/cpu_device.h"
#include "device/null/null_device.h"
#include "device/opencl/opencl_device.h"

const device_api* const device_kinds[] = {&cpu_device_api, &opencl_device_api, &null_device_api,
                                          NULL};
