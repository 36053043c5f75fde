/* A CUDA device in use. */
#ifndef OSSC_CU_TARGET_H_
#define OSSC_CU_TARGET_H_

#include "device/cuda/cu_api.h"
#include "ossc.h"

typedef struct cu_target {
  const cu_api* cu;
  cu_device device;
  cu_context context; /* the one that all users in a process share; NULL: not open */
  ossc_device_info info;
} cu_target;

/* Opens the device that is asked for.
 *   which  as in device_request
 * Closed by cu_target_close, also after a failure. */
ossc_status cu_target_open(const char* which, cu_target* target_out);

void cu_target_close(cu_target* target);

/* Lets the calls that follow in this thread go to the device, until cu_target_leave. */
ossc_status cu_target_enter(const cu_target* target);

/* The same for what is released: where the device was lost, the reason of that stays the last one.
 */
bool cu_target_try_enter(const cu_target* target);

void cu_target_leave(const cu_target* target);

/* OSSC_OK for CU_SUCCESS; else why it cannot do something; see cu_check. */
ossc_status cu_target_check(const cu_target* target, int32_t error, const char* what);

int32_t cu_target_attribute(const cu_target* target, int32_t attribute);

/* The architecture: 87 is sm_87. */
int32_t cu_target_architecture(const cu_target* target);

#endif /* OSSC_CU_TARGET_H_ */
