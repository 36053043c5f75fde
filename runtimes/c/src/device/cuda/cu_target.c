#include "device/cuda/cu_target.h"

#include "device/cuda/cu_devices.h"
#include "device/cuda/cu_error.h"
#include "device/cuda/cu_library.h"

static ossc_status retain(cu_target* t) {
  cu_context context = NULL;
  int32_t error = t->cu->cuDeviceGet(&t->device, t->info.index);
  if (error == CU_SUCCESS) error = t->cu->cuDevicePrimaryCtxRetain(&context, t->device);
  if (error == CU_SUCCESS) t->context = context;
  return cu_target_check(t, error, "be opened");
}

ossc_status cu_target_open(const char* which, cu_target* target_out) {
  const listed_device* chosen;
  listed_devices devices = {0};
  *target_out = (cu_target){0};
  ossc_status status = cu_library_load(&target_out->cu);
  if (status == OSSC_OK) status = cu_devices_list(target_out->cu, &devices);
  if (status == OSSC_OK) status = listed_devices_choose(&devices, which, &chosen);
  if (status == OSSC_OK) {
    target_out->info = chosen->info;
    status = retain(target_out);
  }
  cu_devices_free(&devices);
  return status;
}

void cu_target_close(cu_target* target) {
  if (target->context != NULL) target->cu->cuDevicePrimaryCtxRelease_v2(target->device);
  target->context = NULL;
}

ossc_status cu_target_enter(const cu_target* target) {
  return cu_target_check(target, target->cu->cuCtxPushCurrent_v2(target->context), "be used");
}

bool cu_target_try_enter(const cu_target* target) {
  return target->cu->cuCtxPushCurrent_v2(target->context) == CU_SUCCESS;
}

void cu_target_leave(const cu_target* target) {
  cu_context left;
  target->cu->cuCtxPopCurrent_v2(&left);
}

ossc_status cu_target_check(const cu_target* target, int32_t error, const char* what) {
  return cu_check(target->cu, error, target->info.name, what);
}

int32_t cu_target_attribute(const cu_target* target, int32_t attribute) {
  return cu_devices_attribute(target->cu, target->device, attribute);
}

int32_t cu_target_architecture(const cu_target* target) {
  return cu_target_attribute(target, CU_COMPUTE_CAPABILITY_MAJOR) * 10 +
         cu_target_attribute(target, CU_COMPUTE_CAPABILITY_MINOR);
}
