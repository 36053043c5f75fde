#define _GNU_SOURCE /* strcasestr */
#include "device/listed_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"

#define MAX_LIST_BYTES 512

void listed_device_clean(char* text) {
  size_t length = strlen(text);
  for (size_t i = 0; i < length; ++i) {
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = ' ';
  }
  while (length > 0 && text[length - 1] == ' ') text[--length] = '\0';
  size_t blank = strspn(text, " ");
  memmove(text, text + blank, length - blank + 1);
  if (!utf8_is_valid(text, strlen(text))) strcpy(text, "?");
}

/* "0 PLATFORM / NAME, 1 …", as far as it fits. */
static void list_names(const listed_devices* devices, char list_out[MAX_LIST_BYTES]) {
  size_t length = 0;
  list_out[0] = '\0';
  for (size_t i = 0; i < devices->count && length < MAX_LIST_BYTES; ++i) {
    const ossc_device_info* info = &devices->all[i].info;
    length += (size_t)snprintf(list_out + length, MAX_LIST_BYTES - length, "%s%d %.40s / %.64s",
                               i == 0 ? "" : ", ", (int)info->index, info->platform, info->name);
  }
}

static bool is_called(const ossc_device_info* info, const char* part) {
  return strcasestr(info->platform, part) != NULL || strcasestr(info->name, part) != NULL;
}

static bool is_meant(const ossc_device_info* info, const char* which) {
  if (which[strspn(which, "0123456789")] != '\0') return is_called(info, which);
  return strtoull(which, NULL, 10) == (unsigned long long)info->index;
}

static ossc_status find_meant(const listed_devices* devices, const char* which,
                              const listed_device** chosen_out) {
  char names[MAX_LIST_BYTES];
  size_t count = 0;
  for (size_t i = 0; i < devices->count; ++i) {
    if (!is_meant(&devices->all[i].info, which)) continue;
    *chosen_out = &devices->all[i];
    ++count;
  }
  if (count == 1) return OSSC_OK;
  list_names(devices, names);
  return fail(OSSC_ERROR_MACHINE,
              "\"%.64s\" names %s of the %s devices; give a number or a name of one: %s.", which,
              count == 0 ? "none" : "more than one", devices->api, names);
}

static const listed_device* find_default(const listed_devices* devices) {
  for (size_t i = 0; i < devices->count; ++i) {
    if (devices->all[i].info.is_default) return &devices->all[i];
  }
  return NULL;
}

static ossc_status check_usable(const listed_devices* devices, const listed_device* chosen) {
  if (chosen == NULL) {
    return fail(OSSC_ERROR_MACHINE,
                "None of the %zu %s devices here can be used (%.64s %s); update its driver.",
                devices->count, devices->api, devices->all[0].info.name,
                devices->all[0].fault == NULL ? "is of another type" : devices->all[0].fault);
  }
  if (chosen->fault == NULL) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The %s device %.64s %s; choose another one with --device, or update its driver.",
              devices->api, chosen->info.name, chosen->fault);
}

ossc_status listed_devices_choose(const listed_devices* devices, const char* which,
                                  const listed_device** chosen_out) {
  if (devices->count == 0) {
    return fail(OSSC_ERROR_MACHINE,
                "No %s driver here has a device; install the driver of the device, or run a bundle "
                "that was compiled for a CPU.",
                devices->api);
  }
  *chosen_out = find_default(devices);
  ossc_status status = which[0] == '\0' ? OSSC_OK : find_meant(devices, which, chosen_out);
  return status == OSSC_OK ? check_usable(devices, *chosen_out) : status;
}

void listed_devices_give(const listed_devices* devices, ossc_device_info* devices_out,
                         size_t capacity, size_t* count_out) {
  for (size_t i = 0; i < devices->count && i < capacity; ++i) {
    devices_out[i] = devices->all[i].info;
  }
  *count_out = devices->count;
}
