#define _GNU_SOURCE /* strcasestr */
#include "device/opencl/cl_devices.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"

#define MAX_PLATFORMS 32
#define MAX_DEVICES 64 /* of a platform */
#define MAX_LIST_BYTES 512

typedef struct cl_named_platform {
  cl_platform platform;
  size_t place; /* among those of the loader */
  char name[OSSC_DEVICE_TEXT_BYTES];
} cl_named_platform;

/* Keeps a text to what a terminal shows on one line; drivers pad names with spaces. */
static void clean(char* text) {
  size_t length = strlen(text);
  for (size_t i = 0; i < length; ++i) {
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = ' ';
  }
  while (length > 0 && text[length - 1] == ' ') text[--length] = '\0';
  size_t blank = strspn(text, " ");
  memmove(text, text + blank, length - blank + 1);
  if (!utf8_is_valid(text, strlen(text))) strcpy(text, "?");
}

/* A text that is too long is a text that is not known: OpenCL gives none then. */
static void read_text(const cl_api* cl, cl_device device, uint32_t name,
                      char text_out[OSSC_DEVICE_TEXT_BYTES]) {
  if (cl->clGetDeviceInfo(device, name, OSSC_DEVICE_TEXT_BYTES, text_out, NULL) != CL_SUCCESS) {
    strcpy(text_out, "?");
  }
  text_out[OSSC_DEVICE_TEXT_BYTES - 1] = '\0';
  clean(text_out);
}

static uint64_t read_number(const cl_api* cl, cl_device device, uint32_t name) {
  uint64_t value = 0; /* little-endian, so that a uint32_t fills its lower half */
  if (cl->clGetDeviceInfo(device, name, sizeof(value), &value, NULL) != CL_SUCCESS) return 0;
  return value;
}

static const char* type_name(uint64_t type) {
  if (type & CL_DEVICE_TYPE_GPU) return "gpu";
  if (type & CL_DEVICE_TYPE_ACCELERATOR) return "accelerator";
  return type & CL_DEVICE_TYPE_CPU ? "cpu" : "other";
}

static const char* find_fault(const cl_api* cl, cl_device device) {
  char version[OSSC_DEVICE_TEXT_BYTES];
  int major = 0, minor = 0;
  read_text(cl, device, CL_DEVICE_VERSION, version);
  sscanf(version, "OpenCL %d.%d", &major, &minor);
  if (major < 1 || (major == 1 && minor < 2)) return "has no OpenCL 1.2";
  if (!read_number(cl, device, CL_DEVICE_AVAILABLE)) return "is not available";
  if (!read_number(cl, device, CL_DEVICE_COMPILER_AVAILABLE)) return "has no compiler";
  return NULL;
}

static void describe(const cl_api* cl, const char* platform, cl_device device, size_t index,
                     cl_candidate* candidate_out) {
  ossc_device_info* info = &candidate_out->info;
  *candidate_out = (cl_candidate){
      .device = device,
      .info =
          {
              .kind = CL_DEVICES_KIND,
              .index = (int32_t)index,
              .memory_bytes = read_number(cl, device, CL_DEVICE_GLOBAL_MEM_SIZE),
              .shares_memory = read_number(cl, device, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0,
          },
      .fault = find_fault(cl, device),
  };
  strcpy(info->platform, platform);
  strcpy(info->type, type_name(read_number(cl, device, CL_DEVICE_TYPE)));
  read_text(cl, device, CL_DEVICE_NAME, info->name);
  read_text(cl, device, CL_DRIVER_VERSION, info->driver);
}

static ossc_status add_platform(const cl_api* cl, const cl_named_platform* platform,
                                cl_devices* devices) {
  cl_device found[MAX_DEVICES];
  uint32_t count = 0;
  int32_t error =
      cl->clGetDeviceIDs(platform->platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, found, &count);
  if (error != CL_SUCCESS) return OSSC_OK; /* a driver without its device */
  if (count > MAX_DEVICES) count = MAX_DEVICES;
  cl_candidate* all = realloc(devices->all, (devices->count + count + 1) * sizeof(cl_candidate));
  if (all == NULL) return fail_out_of_memory("the list of devices");
  devices->all = all;
  for (uint32_t i = 0; i < count; ++i, ++devices->count) {
    describe(cl, platform->name, found[i], devices->count, &all[devices->count]);
  }
  return OSSC_OK;
}

static int compare_platforms(const void* a, const void* b) {
  const cl_named_platform *left = a, *right = b;
  int order = strcmp(left->name, right->name);
  return order != 0 ? order : (left->place > right->place) - (left->place < right->place);
}

static size_t read_platforms(const cl_api* cl, cl_named_platform named_out[MAX_PLATFORMS]) {
  cl_platform platforms[MAX_PLATFORMS];
  uint32_t count = 0;
  if (cl->clGetPlatformIDs(MAX_PLATFORMS, platforms, &count) != CL_SUCCESS) return 0;
  if (count > MAX_PLATFORMS) count = MAX_PLATFORMS;
  for (uint32_t i = 0; i < count; ++i) {
    cl_named_platform* named = &named_out[i];
    *named = (cl_named_platform){.platform = platforms[i], .place = i, .name = "?"};
    cl->clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof(named->name) - 1, named->name,
                          NULL);
    clean(named->name);
  }
  qsort(named_out, count, sizeof(cl_named_platform), compare_platforms);
  return count;
}

static const cl_candidate* find_default(const cl_devices* devices) {
  static const char* const types[] = {"gpu", "accelerator", "cpu"};
  for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); ++t) {
    for (size_t i = 0; i < devices->count; ++i) {
      const cl_candidate* each = &devices->all[i];
      if (each->fault == NULL && strcmp(each->info.type, types[t]) == 0) return each;
    }
  }
  return NULL;
}

ossc_status cl_devices_list(const cl_api* cl, cl_devices* devices_out) {
  cl_named_platform platforms[MAX_PLATFORMS];
  size_t count = read_platforms(cl, platforms);
  ossc_status status = OSSC_OK;
  *devices_out = (cl_devices){0};
  for (size_t i = 0; i < count && status == OSSC_OK; ++i) {
    status = add_platform(cl, &platforms[i], devices_out);
  }
  if (status != OSSC_OK) cl_devices_free(devices_out);
  const cl_candidate* first = find_default(devices_out);
  if (first != NULL) devices_out->all[first->info.index].info.is_default = true;
  return status;
}

void cl_devices_free(cl_devices* devices) {
  free(devices->all);
  *devices = (cl_devices){0};
}

/* "0 PLATFORM / NAME, 1 …", as far as it fits. */
static void list_names(const cl_devices* devices, char list_out[MAX_LIST_BYTES]) {
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

static ossc_status find_meant(const cl_devices* devices, const char* which,
                              const cl_candidate** chosen_out) {
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
              "\"%.64s\" names %s of the OpenCL devices; give a number or a name of one: %s.",
              which, count == 0 ? "none" : "more than one", names);
}

ossc_status cl_devices_choose(const cl_devices* devices, const char* which,
                              const cl_candidate** chosen_out) {
  if (devices->count == 0) {
    return fail(OSSC_ERROR_MACHINE,
                "No OpenCL driver here has a device; install the driver of the device, or run a "
                "bundle that was compiled for a CPU.");
  }
  *chosen_out = find_default(devices);
  ossc_status status = which[0] == '\0' ? OSSC_OK : find_meant(devices, which, chosen_out);
  if (status != OSSC_OK) return status;
  if (*chosen_out == NULL) {
    return fail(OSSC_ERROR_MACHINE,
                "None of the %zu OpenCL devices here can be used (%.64s %s); update its driver.",
                devices->count, devices->all[0].info.name,
                devices->all[0].fault == NULL ? "is of another type" : devices->all[0].fault);
  }
  const cl_candidate* chosen = *chosen_out;
  if (chosen->fault == NULL) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The OpenCL device %.64s %s; choose another one with --device, or update its driver.",
              chosen->info.name, chosen->fault);
}
