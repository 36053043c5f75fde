#include "device/cuda/cu_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cuda/cu_error.h"

int32_t cu_devices_attribute(const cu_api* cu, cu_device device, int32_t attribute) {
  int32_t value = 0;
  return cu->cuDeviceGetAttribute(&value, attribute, device) == CU_SUCCESS ? value : 0;
}

static const char* find_fault(const cu_api* cu, cu_device device) {
  int32_t mode = cu_devices_attribute(cu, device, CU_COMPUTE_MODE);
  return mode == CU_COMPUTE_MODE_PROHIBITED ? "is set to compute nothing (nvidia-smi -c 0)" : NULL;
}

/* 12090 is 12.9. */
static void describe_driver(const cu_api* cu, ossc_device_info* info) {
  int32_t version = 0;
  if (cu->cuDriverGetVersion(&version) != CU_SUCCESS || version <= 0) return;
  snprintf(info->driver, sizeof(info->driver), "CUDA %d.%d", version / 1000, version % 1000 / 10);
}

static bool shares_memory(const cu_api* cu, cu_device device) {
  return cu_devices_attribute(cu, device, CU_INTEGRATED) != 0 &&
         cu_devices_attribute(cu, device, CU_HOST_REGISTER_SUPPORTED) != 0;
}

static void describe(const cu_api* cu, cu_device device, int32_t index, listed_device* listed_out) {
  size_t memory_bytes = 0;
  cu->cuDeviceTotalMem_v2(&memory_bytes, device);
  *listed_out = (listed_device){
      .info =
          {
              .kind = CU_DEVICES_KIND,
              .index = index,
              .platform = "NVIDIA CUDA",
              .name = "?",
              .type = "gpu",
              .memory_bytes = memory_bytes,
              .shares_memory = shares_memory(cu, device),
          },
      .fault = find_fault(cu, device),
  };
  ossc_device_info* info = &listed_out->info;
  cu->cuDeviceGetName(info->name, (int32_t)sizeof(info->name) - 1, device);
  listed_device_clean(info->name);
  describe_driver(cu, info);
}

static void mark_default(listed_devices* devices) {
  for (size_t i = 0; i < devices->count; ++i) {
    if (devices->all[i].fault != NULL) continue;
    devices->all[i].info.is_default = true;
    return;
  }
}

ossc_status cu_devices_list(const cu_api* cu, listed_devices* devices_out) {
  int32_t count = 0;
  cu_device device;
  if (cu->cuDeviceGetCount(&count) != CU_SUCCESS || count < 0) count = 0;
  *devices_out = (listed_devices){"CUDA", 0, calloc((size_t)count + 1, sizeof(listed_device))};
  if (devices_out->all == NULL) return fail_out_of_memory("the list of devices");
  for (int32_t i = 0; i < count && cu->cuDeviceGet(&device, i) == CU_SUCCESS; ++i) {
    describe(cu, device, i, &devices_out->all[devices_out->count++]);
  }
  mark_default(devices_out);
  return OSSC_OK;
}

void cu_devices_free(listed_devices* devices) {
  free(devices->all);
  *devices = (listed_devices){0};
}
