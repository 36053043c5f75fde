/* An OpenCL library for tests, in front of the real one that it is linked with: a call of a
 * function fails when a test says so, and the device may say that it shares no memory. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "device/opencl/cl_api.h"

#define EXPORTED __attribute__((visibility("default")))

/* Set by the test: the function, how many of its calls are still good, and what then fails. */
EXPORTED char faulty_function[64];
EXPORTED int faulty_countdown;
EXPORTED int32_t faulty_error;
EXPORTED int faulty_shares_memory = 1;
EXPORTED int faulty_fired;

/* Objects that were made and not released. */
EXPORTED int faulty_objects;

static int32_t take_fault(const char* name) {
  if (strcmp(name, faulty_function) != 0 || faulty_countdown-- != 0) return CL_SUCCESS;
  faulty_fired = 1;
  return faulty_error;
}

static void* next(const char* name) {
  void* function = dlsym(RTLD_NEXT, name);
  if (function == NULL) abort();
  return function;
}

#define FORWARD(name, arguments) \
  (*(__typeof__(((cl_api*)NULL)->name)*)&(void*){next(#name)}) arguments

/* A function that returns its error. */
#define FAULTY(name, parameters, arguments)               \
  EXPORTED int32_t name parameters {                      \
    int32_t error = take_fault(#name);                    \
    return error != 0 ? error : FORWARD(name, arguments); \
  }

/* A function that returns an object, or leaves an error. */
#define FAULTY_OBJECT(type, name, parameters, arguments)       \
  EXPORTED type name parameters {                              \
    int32_t fault = take_fault(#name);                         \
    *error = fault;                                            \
    type made = fault == 0 ? FORWARD(name, arguments) : NULL;  \
    faulty_objects += made != NULL;                            \
    return made;                                               \
  }

#define RELEASE(type, name)               \
  EXPORTED int32_t name(type object) {    \
    --faulty_objects;                     \
    return FORWARD(name, (object));       \
  }

RELEASE(cl_context, clReleaseContext)
RELEASE(cl_queue, clReleaseCommandQueue)
RELEASE(cl_program, clReleaseProgram)
RELEASE(cl_kernel, clReleaseKernel)
RELEASE(cl_memory, clReleaseMemObject)
RELEASE(cl_event, clReleaseEvent)

FAULTY_OBJECT(cl_context, clCreateContext,
              (const intptr_t* properties, uint32_t count, const cl_device* devices,
               cl_notify notify, void* data, int32_t* error),
              (properties, count, devices, notify, data, error))
FAULTY_OBJECT(cl_queue, clCreateCommandQueue,
              (cl_context context, cl_device device, uint64_t properties, int32_t* error),
              (context, device, properties, error))
FAULTY_OBJECT(cl_program, clCreateProgramWithSource,
              (cl_context context, uint32_t count, const char** texts, const size_t* sizes,
               int32_t* error),
              (context, count, texts, sizes, error))
FAULTY_OBJECT(cl_program, clCreateProgramWithBinary,
              (cl_context context, uint32_t count, const cl_device* devices, const size_t* sizes,
               const uint8_t** data, int32_t* statuses, int32_t* error),
              (context, count, devices, sizes, data, statuses, error))
FAULTY_OBJECT(cl_kernel, clCreateKernel, (cl_program program, const char* name, int32_t* error),
              (program, name, error))
FAULTY_OBJECT(cl_memory, clCreateBuffer,
              (cl_context context, uint64_t flags, size_t size, void* host, int32_t* error),
              (context, flags, size, host, error))
FAULTY_OBJECT(cl_memory, clCreateSubBuffer,
              (cl_memory buffer, uint64_t flags, uint32_t kind, const void* region,
               int32_t* error),
              (buffer, flags, kind, region, error))

FAULTY(clBuildProgram,
       (cl_program program, uint32_t count, const cl_device* devices, const char* options,
        cl_notify notify, void* data),
       (program, count, devices, options, notify, data))
FAULTY(clGetProgramInfo,
       (cl_program program, uint32_t name, size_t size, void* value, size_t* needed),
       (program, name, size, value, needed))
FAULTY(clSetKernelArg, (cl_kernel kernel, uint32_t index, size_t size, const void* value),
       (kernel, index, size, value))
FAULTY(clFlush, (cl_queue queue), (queue))
FAULTY(clFinish, (cl_queue queue), (queue))
FAULTY(clEnqueueMarkerWithWaitList,
       (cl_queue queue, uint32_t count, const cl_event* waits, cl_event* event),
       (queue, count, waits, event))
EXPORTED int32_t clEnqueueNDRangeKernel(cl_queue queue, cl_kernel kernel, uint32_t dimensions,
                                        const size_t* offset, const size_t* items,
                                        const size_t* block, uint32_t count, const cl_event* waits,
                                        cl_event* event) {
  int32_t error = take_fault("clEnqueueNDRangeKernel");
  if (error == 0) {
    error = FORWARD(clEnqueueNDRangeKernel,
                    (queue, kernel, dimensions, offset, items, block, count, waits, event));
  }
  faulty_objects += error == 0 && event != NULL;
  return error;
}
FAULTY(clEnqueueReadBuffer,
       (cl_queue queue, cl_memory buffer, uint32_t wait, size_t at, size_t size, void* data,
        uint32_t count, const cl_event* waits, cl_event* event),
       (queue, buffer, wait, at, size, data, count, waits, event))
FAULTY(clEnqueueWriteBuffer,
       (cl_queue queue, cl_memory buffer, uint32_t wait, size_t at, size_t size, const void* data,
        uint32_t count, const cl_event* waits, cl_event* event),
       (queue, buffer, wait, at, size, data, count, waits, event))
EXPORTED int32_t clEnqueueCopyBuffer(cl_queue queue, cl_memory from, cl_memory to, size_t from_at,
                                     size_t to_at, size_t size, uint32_t count,
                                     const cl_event* waits, cl_event* event) {
  int32_t error = take_fault("clEnqueueCopyBuffer");
  if (error == 0) {
    error = FORWARD(clEnqueueCopyBuffer,
                    (queue, from, to, from_at, to_at, size, count, waits, event));
  }
  faulty_objects += error == 0 && event != NULL;
  return error;
}
FAULTY(clEnqueueFillBuffer,
       (cl_queue queue, cl_memory buffer, const void* pattern, size_t pattern_size, size_t at,
        size_t size, uint32_t count, const cl_event* waits, cl_event* event),
       (queue, buffer, pattern, pattern_size, at, size, count, waits, event))

EXPORTED int32_t clGetDeviceInfo(cl_device device, uint32_t name, size_t size, void* value,
                                 size_t* needed) {
  int32_t error = FORWARD(clGetDeviceInfo, (device, name, size, value, needed));
  if (name == CL_DEVICE_HOST_UNIFIED_MEMORY && value != NULL && !faulty_shares_memory) {
    memset(value, 0, size);
  }
  return error;
}
