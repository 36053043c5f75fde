#include "device/opencl/cl_error.h"

#include "base/error.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What such an error means to whoever runs a model. */
typedef enum meaning { CALL, LOST, MEMORY } meaning;

static const struct {
  int32_t error;
  meaning meaning;
  const char* name;
} errors[] = {
    {-1, CALL, "CL_DEVICE_NOT_FOUND"},
    {-2, LOST, "CL_DEVICE_NOT_AVAILABLE"},
    {-3, CALL, "CL_COMPILER_NOT_AVAILABLE"},
    {-4, MEMORY, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
    {-5, MEMORY, "CL_OUT_OF_RESOURCES"},
    {-6, MEMORY, "CL_OUT_OF_HOST_MEMORY"},
    {-7, CALL, "CL_PROFILING_INFO_NOT_AVAILABLE"},
    {-8, CALL, "CL_MEM_COPY_OVERLAP"},
    {-11, CALL, "CL_BUILD_PROGRAM_FAILURE"},
    {-12, CALL, "CL_MAP_FAILURE"},
    {-13, CALL, "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
    {-14, LOST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
    {-15, CALL, "CL_COMPILE_PROGRAM_FAILURE"},
    {-16, CALL, "CL_LINKER_NOT_AVAILABLE"},
    {-17, CALL, "CL_LINK_PROGRAM_FAILURE"},
    {-30, CALL, "CL_INVALID_VALUE"},
    {-33, LOST, "CL_INVALID_DEVICE"},
    {-34, LOST, "CL_INVALID_CONTEXT"},
    {-36, LOST, "CL_INVALID_COMMAND_QUEUE"},
    {-37, CALL, "CL_INVALID_HOST_PTR"},
    {-38, CALL, "CL_INVALID_MEM_OBJECT"},
    {-42, CALL, "CL_INVALID_BINARY"},
    {-43, CALL, "CL_INVALID_BUILD_OPTIONS"},
    {-44, CALL, "CL_INVALID_PROGRAM"},
    {-45, CALL, "CL_INVALID_PROGRAM_EXECUTABLE"},
    {-46, CALL, "CL_INVALID_KERNEL_NAME"},
    {-47, CALL, "CL_INVALID_KERNEL_DEFINITION"},
    {-48, CALL, "CL_INVALID_KERNEL"},
    {-49, CALL, "CL_INVALID_ARG_INDEX"},
    {-50, CALL, "CL_INVALID_ARG_VALUE"},
    {-51, CALL, "CL_INVALID_ARG_SIZE"},
    {-52, CALL, "CL_INVALID_KERNEL_ARGS"},
    {-53, CALL, "CL_INVALID_WORK_DIMENSION"},
    {-54, CALL, "CL_INVALID_WORK_GROUP_SIZE"},
    {-55, CALL, "CL_INVALID_WORK_ITEM_SIZE"},
    {-56, CALL, "CL_INVALID_GLOBAL_OFFSET"},
    {-57, CALL, "CL_INVALID_EVENT_WAIT_LIST"},
    {-58, CALL, "CL_INVALID_EVENT"},
    {-59, CALL, "CL_INVALID_OPERATION"},
    {-61, MEMORY, "CL_INVALID_BUFFER_SIZE"},
    {-63, CALL, "CL_INVALID_GLOBAL_WORK_SIZE"},
    {-1001, CALL, "CL_PLATFORM_NOT_FOUND_KHR"},
};

static const char* const advice_for[] = {
    [CALL] = "update its driver, or choose another device with --device",
    [LOST] = "it was reset or taken away: open the bundle again, or choose another device with "
             "--device",
    [MEMORY] = "close what else uses it, choose another device with --device, or compile the model "
               "with a smaller --context",
};

static meaning meaning_of(int32_t error) {
  for (size_t i = 0; i < COUNT_OF(errors); ++i) {
    if (errors[i].error == error) return errors[i].meaning;
  }
  return CALL;
}

const char* cl_error_name(int32_t error) {
  for (size_t i = 0; i < COUNT_OF(errors); ++i) {
    if (errors[i].error == error) return errors[i].name;
  }
  return "an unknown error";
}

ossc_status cl_check(int32_t error, const char* device, const char* what) {
  if (error == CL_SUCCESS) return OSSC_OK;
  meaning means = meaning_of(error);
  return fail(means == MEMORY ? OSSC_ERROR_MEMORY : OSSC_ERROR_MACHINE,
              "The OpenCL device %.64s cannot %s (%s, %d); %s.", device, what, cl_error_name(error),
              (int)error, advice_for[means]);
}
