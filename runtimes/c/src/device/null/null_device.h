#ifndef OSSC_NULL_DEVICE_H_
#define OSSC_NULL_DEVICE_H_

#include "device/device.h"

/* Takes any plan, computes nothing, and answers zeros. */
extern const device_api null_device_api;

#endif /* OSSC_NULL_DEVICE_H_ */
