/* As much of OpenCL 1.2 as the runtime calls: types, numbers and functions as the standard has
 * them, so that no header of a vendor is needed. */
#ifndef OSSC_CL_API_H_
#define OSSC_CL_API_H_

#include <stddef.h>
#include <stdint.h>

typedef struct cl_platform_object* cl_platform;
typedef struct cl_device_object* cl_device;
typedef struct cl_context_object* cl_context;
typedef struct cl_queue_object* cl_queue;
typedef struct cl_program_object* cl_program;
typedef struct cl_kernel_object* cl_kernel;
typedef struct cl_memory_object* cl_memory;
typedef struct cl_event_object* cl_event;

enum {
  CL_SUCCESS = 0,
  CL_DEVICE_NOT_FOUND = -1,
  CL_PLATFORM_NOT_FOUND = -1001,
};

enum {
  CL_PLATFORM_NAME = 0x0902,

  CL_DEVICE_TYPE = 0x1000,
  CL_DEVICE_MAX_WORK_GROUP_SIZE = 0x1004,
  CL_DEVICE_MAX_WORK_ITEM_SIZES = 0x1005,
  CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
  CL_DEVICE_MEM_BASE_ADDR_ALIGN = 0x1019, /* in bits */
  CL_DEVICE_GLOBAL_MEM_SIZE = 0x101f,
  CL_DEVICE_LOCAL_MEM_SIZE = 0x1023,
  CL_DEVICE_PROFILING_TIMER_RESOLUTION = 0x1025, /* in ns */
  CL_DEVICE_AVAILABLE = 0x1027,
  CL_DEVICE_COMPILER_AVAILABLE = 0x1028,
  CL_DEVICE_NAME = 0x102b,
  CL_DRIVER_VERSION = 0x102d,
  CL_DEVICE_VERSION = 0x102f,
  CL_DEVICE_HOST_UNIFIED_MEMORY = 0x1035,

  CL_PROGRAM_BINARY_SIZES = 0x1165,
  CL_PROGRAM_BINARIES = 0x1166,
  CL_PROGRAM_BUILD_LOG = 0x1183,

  CL_KERNEL_NUM_ARGS = 0x1191,
  CL_KERNEL_LOCAL_MEM_SIZE = 0x11b2,

  CL_PROFILING_COMMAND_START = 0x1282,
  CL_PROFILING_COMMAND_END = 0x1283,
};

/* Bits. */
enum {
  CL_DEVICE_TYPE_CPU = 1 << 1,
  CL_DEVICE_TYPE_GPU = 1 << 2,
  CL_DEVICE_TYPE_ACCELERATOR = 1 << 3,

  CL_QUEUE_PROFILING_ENABLE = 1 << 1,

  CL_MEM_READ_WRITE = 1 << 0,
  CL_MEM_READ_ONLY = 1 << 2,
  CL_MEM_USE_HOST_PTR = 1 << 3,
};
#define CL_DEVICE_TYPE_ALL UINT32_MAX
#define CL_BUFFER_CREATE_TYPE_REGION 0x1220

typedef struct cl_region {
  size_t origin, size;
} cl_region;

typedef void (*cl_notify)(void);

/* X(result, name, parameters) for every function; names are those of the library. */
#define CL_FUNCTIONS(X)                                                                            \
  X(int32_t, clGetPlatformIDs, (uint32_t, cl_platform*, uint32_t*))                                \
  X(int32_t, clGetPlatformInfo, (cl_platform, uint32_t, size_t, void*, size_t*))                   \
  X(int32_t, clGetDeviceIDs, (cl_platform, uint64_t, uint32_t, cl_device*, uint32_t*))             \
  X(int32_t, clGetDeviceInfo, (cl_device, uint32_t, size_t, void*, size_t*))                       \
  X(cl_context, clCreateContext,                                                                   \
    (const intptr_t*, uint32_t, const cl_device*, cl_notify, void*, int32_t*))                     \
  X(int32_t, clReleaseContext, (cl_context))                                                       \
  X(cl_queue, clCreateCommandQueue, (cl_context, cl_device, uint64_t, int32_t*))                   \
  X(int32_t, clReleaseCommandQueue, (cl_queue))                                                    \
  X(int32_t, clFlush, (cl_queue))                                                                  \
  X(int32_t, clFinish, (cl_queue))                                                                 \
  X(cl_program, clCreateProgramWithSource,                                                         \
    (cl_context, uint32_t, const char**, const size_t*, int32_t*))                                 \
  X(cl_program, clCreateProgramWithBinary,                                                         \
    (cl_context, uint32_t, const cl_device*, const size_t*, const uint8_t**, int32_t*, int32_t*))  \
  X(int32_t, clBuildProgram,                                                                       \
    (cl_program, uint32_t, const cl_device*, const char*, cl_notify, void*))                       \
  X(int32_t, clGetProgramInfo, (cl_program, uint32_t, size_t, void*, size_t*))                     \
  X(int32_t, clGetProgramBuildInfo, (cl_program, cl_device, uint32_t, size_t, void*, size_t*))     \
  X(int32_t, clReleaseProgram, (cl_program))                                                       \
  X(cl_kernel, clCreateKernel, (cl_program, const char*, int32_t*))                                \
  X(int32_t, clSetKernelArg, (cl_kernel, uint32_t, size_t, const void*))                           \
  X(int32_t, clGetKernelInfo, (cl_kernel, uint32_t, size_t, void*, size_t*))                       \
  X(int32_t, clGetKernelWorkGroupInfo,                                                             \
    (cl_kernel, cl_device, uint32_t, size_t, void*, size_t*))                                      \
  X(int32_t, clReleaseKernel, (cl_kernel))                                                         \
  X(cl_memory, clCreateBuffer, (cl_context, uint64_t, size_t, void*, int32_t*))                    \
  X(cl_memory, clCreateSubBuffer, (cl_memory, uint64_t, uint32_t, const void*, int32_t*))          \
  X(int32_t, clReleaseMemObject, (cl_memory))                                                      \
  X(int32_t, clEnqueueNDRangeKernel,                                                               \
    (cl_queue, cl_kernel, uint32_t, const size_t*, const size_t*, const size_t*, uint32_t,         \
     const cl_event*, cl_event*))                                                                  \
  X(int32_t, clEnqueueReadBuffer,                                                                  \
    (cl_queue, cl_memory, uint32_t, size_t, size_t, void*, uint32_t, const cl_event*, cl_event*))  \
  X(int32_t, clEnqueueWriteBuffer,                                                                 \
    (cl_queue, cl_memory, uint32_t, size_t, size_t, const void*, uint32_t, const cl_event*,        \
     cl_event*))                                                                                   \
  X(int32_t, clEnqueueCopyBuffer,                                                                  \
    (cl_queue, cl_memory, cl_memory, size_t, size_t, size_t, uint32_t, const cl_event*,            \
     cl_event*))                                                                                   \
  X(int32_t, clEnqueueFillBuffer,                                                                  \
    (cl_queue, cl_memory, const void*, size_t, size_t, size_t, uint32_t, const cl_event*,          \
     cl_event*))                                                                                   \
  X(int32_t, clEnqueueMarkerWithWaitList, (cl_queue, uint32_t, const cl_event*, cl_event*))        \
  X(int32_t, clGetEventProfilingInfo, (cl_event, uint32_t, size_t, void*, size_t*))                \
  X(int32_t, clReleaseEvent, (cl_event))

/* The functions of a library that was loaded. */
typedef struct cl_api {
#define CL_MEMBER(result, name, parameters) result(*name) parameters;
  CL_FUNCTIONS(CL_MEMBER)
#undef CL_MEMBER
} cl_api;

#endif /* OSSC_CL_API_H_ */
