#include "base/error.h"
#include "device/device.h"

/* Adds the devices of a kind behind those that were found. */
static ossc_status list_kind(const device_api* api, ossc_device_info* devices_out, size_t capacity,
                             size_t* count) {
  size_t room = *count < capacity ? capacity - *count : 0, found = 0;
  ossc_status status = api->list(room > 0 ? devices_out + *count : NULL, room, &found);
  *count += found;
  return status;
}

/* A kind without a driver is an error where it leaves nothing to run on. */
ossc_status ossc_list_devices(ossc_device_info* devices_out, size_t capacity, size_t* count_out) {
  if (count_out == NULL || (devices_out == NULL && capacity > 0)) {
    return fail(OSSC_ERROR_ARGUMENT, "devices_out or count_out is NULL; pass both.");
  }
  size_t count = 0;
  ossc_status status = OSSC_OK;
  for (const device_api* const* api = device_kinds; *api != NULL; ++api) {
    ossc_status of_kind = list_kind(*api, devices_out, capacity, &count);
    if (of_kind != OSSC_OK) status = of_kind;
  }
  if (count == 0 && status != OSSC_OK) return status;
  *count_out = count;
  return OSSC_OK;
}
