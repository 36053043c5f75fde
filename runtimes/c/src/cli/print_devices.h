#ifndef OSSC_PRINT_DEVICES_H_
#define OSSC_PRINT_DEVICES_H_

#include "ossc.h"

/* Prints what this program can run on: a line for each device, or one JSON object. */
ossc_status print_devices(bool json);

#endif /* OSSC_PRINT_DEVICES_H_ */
