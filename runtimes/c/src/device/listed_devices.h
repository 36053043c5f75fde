/* The devices of a kind that has several: which of them is meant. */
#ifndef OSSC_LISTED_DEVICES_H_
#define OSSC_LISTED_DEVICES_H_

#include "ossc.h"

/* A device, and why it cannot be used. */
typedef struct listed_device {
  ossc_device_info info;
  const char* fault; /* completes "The device …"; NULL: it can be used */
} listed_device;

typedef struct listed_devices {
  const char* api; /* such as "CUDA", for messages */
  size_t count;
  listed_device* all; /* [count] */
} listed_devices;

/* Keeps a text to what a terminal shows on one line; drivers pad names with spaces. */
void listed_device_clean(char* text);

/* Finds the one that is asked for, or refuses to choose.
 *   which  a number, or a part of the name of a platform or device; "": the default
 * Releases nothing; chosen_out is in the list. */
ossc_status listed_devices_choose(const listed_devices* devices, const char* which,
                                  const listed_device** chosen_out);

/* Gives what api->list gives: as many as there is room for, and how many there are. */
void listed_devices_give(const listed_devices* devices, ossc_device_info* devices_out,
                         size_t capacity, size_t* count_out);

#endif /* OSSC_LISTED_DEVICES_H_ */
