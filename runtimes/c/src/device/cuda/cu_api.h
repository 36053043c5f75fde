/* As much of CUDA's driver API as the runtime calls: types, numbers and functions as its
 * documentation has them, so that no header of a vendor is needed. */
#ifndef OSSC_CU_API_H_
#define OSSC_CU_API_H_

#include <stddef.h>
#include <stdint.h>

typedef int32_t cu_device;
typedef uint64_t cu_address; /* in the memory of a device */
typedef struct cu_context_object* cu_context;
typedef struct cu_module_object* cu_module;
typedef struct cu_function_object* cu_function;
typedef struct cu_stream_object* cu_stream;
typedef struct cu_event_object* cu_event;
typedef struct cu_graph_object* cu_graph;
typedef struct cu_graph_exec_object* cu_graph_exec;

enum {
  CU_SUCCESS = 0,
  CU_ERROR_OUT_OF_MEMORY = 2,
  CU_ERROR_NO_DEVICE = 100,
  CU_ERROR_INVALID_IMAGE = 200,
  CU_ERROR_NO_BINARY_FOR_GPU = 209,
  CU_ERROR_INVALID_PTX = 218,
  CU_ERROR_UNSUPPORTED_PTX_VERSION = 222,
};

/* Of a device. */
enum {
  CU_MAX_THREADS_PER_BLOCK = 1,
  CU_MAX_BLOCK_DIM_X = 2, /* then y and z */
  CU_MAX_GRID_DIM_X = 5,  /* then y and z */
  CU_INTEGRATED = 18,
  CU_COMPUTE_MODE = 20,
  CU_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_COMPUTE_CAPABILITY_MINOR = 76,
  CU_HOST_REGISTER_SUPPORTED = 99,
  CU_READ_ONLY_HOST_REGISTER_SUPPORTED = 113,
};

enum {
  CU_COMPUTE_MODE_PROHIBITED = 2,
  CU_FUNCTION_MAX_THREADS_PER_BLOCK = 0,
  CU_STREAM_NON_BLOCKING = 1,
  CU_CAPTURE_THREAD_LOCAL = 1,
  CU_EVENT_DEFAULT = 0,
  CU_HOST_REGISTER_DEVICE_MAP = 2,
  CU_HOST_REGISTER_READ_ONLY = 8,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
};

/* X(result, name, parameters) for every function; names are those of the library. */
#define CU_FUNCTIONS(X)                                                                            \
  X(int32_t, cuInit, (uint32_t))                                                                   \
  X(int32_t, cuDriverGetVersion, (int32_t*))                                                       \
  X(int32_t, cuGetErrorName, (int32_t, const char**))                                              \
  X(int32_t, cuDeviceGetCount, (int32_t*))                                                         \
  X(int32_t, cuDeviceGet, (cu_device*, int32_t))                                                   \
  X(int32_t, cuDeviceGetName, (char*, int32_t, cu_device))                                         \
  X(int32_t, cuDeviceGetAttribute, (int32_t*, int32_t, cu_device))                                 \
  X(int32_t, cuDeviceTotalMem_v2, (size_t*, cu_device))                                            \
  X(int32_t, cuDevicePrimaryCtxRetain, (cu_context*, cu_device))                                   \
  X(int32_t, cuDevicePrimaryCtxRelease_v2, (cu_device))                                            \
  X(int32_t, cuCtxPushCurrent_v2, (cu_context))                                                    \
  X(int32_t, cuCtxPopCurrent_v2, (cu_context*))                                                    \
  X(int32_t, cuModuleLoadDataEx, (cu_module*, const void*, uint32_t, const int32_t*, void**))      \
  X(int32_t, cuModuleUnload, (cu_module))                                                          \
  X(int32_t, cuModuleGetFunction, (cu_function*, cu_module, const char*))                          \
  X(int32_t, cuFuncGetAttribute, (int32_t*, int32_t, cu_function))                                 \
  X(int32_t, cuMemGetInfo_v2, (size_t*, size_t*))                                                  \
  X(int32_t, cuMemAlloc_v2, (cu_address*, size_t))                                                 \
  X(int32_t, cuMemFree_v2, (cu_address))                                                           \
  X(int32_t, cuMemAllocHost_v2, (void**, size_t))                                                  \
  X(int32_t, cuMemFreeHost, (void*))                                                               \
  X(int32_t, cuMemHostRegister_v2, (void*, size_t, uint32_t))                                      \
  X(int32_t, cuMemHostGetDevicePointer_v2, (cu_address*, void*, uint32_t))                         \
  X(int32_t, cuMemHostUnregister, (void*))                                                         \
  X(int32_t, cuMemcpyHtoDAsync_v2, (cu_address, const void*, size_t, cu_stream))                   \
  X(int32_t, cuMemcpyDtoHAsync_v2, (void*, cu_address, size_t, cu_stream))                         \
  X(int32_t, cuMemcpyDtoDAsync_v2, (cu_address, cu_address, size_t, cu_stream))                    \
  X(int32_t, cuMemsetD8Async, (cu_address, uint8_t, size_t, cu_stream))                            \
  X(int32_t, cuStreamCreate, (cu_stream*, uint32_t))                                               \
  X(int32_t, cuStreamSynchronize, (cu_stream))                                                     \
  X(int32_t, cuStreamDestroy_v2, (cu_stream))                                                      \
  X(int32_t, cuStreamBeginCapture_v2, (cu_stream, int32_t))                                        \
  X(int32_t, cuStreamEndCapture, (cu_stream, cu_graph*))                                           \
  X(int32_t, cuGraphInstantiateWithFlags, (cu_graph_exec*, cu_graph, uint64_t))                    \
  X(int32_t, cuGraphLaunch, (cu_graph_exec, cu_stream))                                            \
  X(int32_t, cuGraphDestroy, (cu_graph))                                                           \
  X(int32_t, cuGraphExecDestroy, (cu_graph_exec))                                                  \
  X(int32_t, cuEventCreate, (cu_event*, uint32_t))                                                 \
  X(int32_t, cuEventRecord, (cu_event, cu_stream))                                                 \
  X(int32_t, cuEventElapsedTime, (float*, cu_event, cu_event))                                     \
  X(int32_t, cuEventDestroy_v2, (cu_event))                                                        \
  X(int32_t, cuLaunchKernel,                                                                       \
    (cu_function, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, cu_stream, \
     void**, void**))

/* The functions of a library that was loaded. */
typedef struct cu_api {
#define CU_MEMBER(result, name, parameters) result(*name) parameters;
  CU_FUNCTIONS(CU_MEMBER)
#undef CU_MEMBER
} cu_api;

#endif /* OSSC_CU_API_H_ */
