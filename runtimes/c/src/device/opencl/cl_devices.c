#include "device/opencl/cl_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MAX_PLATFORMS 32
#define MAX_DEVICES 64 /* of a platform */

typedef struct cl_named_platform {
  cl_platform platform;
  size_t place; /* among those of the loader */
  char name[OSSC_DEVICE_TEXT_BYTES];
} cl_named_platform;

/* A text that is too long is a text that is not known: OpenCL gives none then. */
static void read_text(const cl_api* cl, cl_device device, uint32_t name,
                      char text_out[OSSC_DEVICE_TEXT_BYTES]) {
  if (cl->clGetDeviceInfo(device, name, OSSC_DEVICE_TEXT_BYTES, text_out, NULL) != CL_SUCCESS) {
    strcpy(text_out, "?");
  }
  text_out[OSSC_DEVICE_TEXT_BYTES - 1] = '\0';
  listed_device_clean(text_out);
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
                     listed_device* listed_out) {
  ossc_device_info* info = &listed_out->info;
  *listed_out = (listed_device){
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

static ossc_status make_room(size_t count, cl_devices* devices) {
  listed_devices* listed = &devices->listed;
  size_t capacity = listed->count + count + 1;
  listed_device* all = realloc(listed->all, capacity * sizeof(listed_device));
  if (all != NULL) listed->all = all;
  cl_device* handles = realloc(devices->handles, capacity * sizeof(cl_device));
  if (handles != NULL) devices->handles = handles;
  bool complete = all != NULL && handles != NULL;
  return complete ? OSSC_OK : fail_out_of_memory("the list of devices");
}

static ossc_status add_platform(const cl_api* cl, const cl_named_platform* platform,
                                cl_devices* devices) {
  cl_device found[MAX_DEVICES];
  uint32_t count = 0;
  int32_t error =
      cl->clGetDeviceIDs(platform->platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, found, &count);
  if (error != CL_SUCCESS) return OSSC_OK; /* a driver without its device */
  if (count > MAX_DEVICES) count = MAX_DEVICES;
  ossc_status status = make_room(count, devices);
  for (uint32_t i = 0; i < count && status == OSSC_OK; ++i) {
    size_t index = devices->listed.count++;
    devices->handles[index] = found[i];
    describe(cl, platform->name, found[i], index, &devices->listed.all[index]);
  }
  return status;
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
    listed_device_clean(named->name);
  }
  qsort(named_out, count, sizeof(cl_named_platform), compare_platforms);
  return count;
}

static void mark_default(listed_devices* devices) {
  static const char* const types[] = {"gpu", "accelerator", "cpu"};
  for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); ++t) {
    for (size_t i = 0; i < devices->count; ++i) {
      listed_device* each = &devices->all[i];
      if (each->fault != NULL || strcmp(each->info.type, types[t]) != 0) continue;
      each->info.is_default = true;
      return;
    }
  }
}

ossc_status cl_devices_list(const cl_api* cl, cl_devices* devices_out) {
  cl_named_platform platforms[MAX_PLATFORMS];
  size_t count = read_platforms(cl, platforms);
  ossc_status status = OSSC_OK;
  *devices_out = (cl_devices){.listed.api = "OpenCL"};
  for (size_t i = 0; i < count && status == OSSC_OK; ++i) {
    status = add_platform(cl, &platforms[i], devices_out);
  }
  if (status != OSSC_OK) cl_devices_free(devices_out);
  mark_default(&devices_out->listed);
  return status;
}

void cl_devices_free(cl_devices* devices) {
  free(devices->listed.all);
  free(devices->handles);
  *devices = (cl_devices){0};
}
