#include "device/cuda/cu_error.h"

#include "base/error.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What such an error means to whoever runs a model. */
typedef enum meaning { CALL, FORKED, BUSY, LOST, MEMORY } meaning;

static const struct {
  int32_t error;
  meaning meaning;
} errors[] = {
    {2, MEMORY},   /* OUT_OF_MEMORY */
    {3, FORKED},   /* NOT_INITIALIZED */
    {4, LOST},     /* DEINITIALIZED */
    {46, BUSY},    /* DEVICE_UNAVAILABLE */
    {201, LOST},   /* INVALID_CONTEXT */
    {214, LOST},   /* ECC_UNCORRECTABLE */
    {220, LOST},   /* NVLINK_UNCORRECTABLE */
    {700, LOST},   /* ILLEGAL_ADDRESS */
    {701, MEMORY}, /* LAUNCH_OUT_OF_RESOURCES */
    {702, LOST},   /* LAUNCH_TIMEOUT */
    {709, LOST},   /* CONTEXT_IS_DESTROYED */
    {710, LOST},   /* ASSERT */
    {714, LOST},   /* HARDWARE_STACK_ERROR */
    {715, LOST},   /* ILLEGAL_INSTRUCTION */
    {716, LOST},   /* MISALIGNED_ADDRESS */
    {717, LOST},   /* INVALID_ADDRESS_SPACE */
    {718, LOST},   /* INVALID_PC */
    {719, LOST},   /* LAUNCH_FAILED */
};

static const char* const advice_for[] = {
    [CALL] = "update its driver, or choose another device with --device",
    [FORKED] =
        "CUDA works in the process that opened it, and not in its forks: open the bundle in a new "
        "process",
    [BUSY] =
        "another process has it for itself: end that one, or choose another device with "
        "--device",
    [LOST] =
        "it takes no more work from this process: run it again, or choose another device with "
        "--device",
    [MEMORY] =
        "close what else uses it, choose another device with --device, or compile the model "
        "with a smaller --context",
};

static meaning meaning_of(int32_t error) {
  for (size_t i = 0; i < COUNT_OF(errors); ++i) {
    if (errors[i].error == error) return errors[i].meaning;
  }
  return CALL;
}

const char* cu_error_name(const cu_api* cu, int32_t error) {
  const char* name = NULL;
  if (cu->cuGetErrorName(error, &name) != CU_SUCCESS || name == NULL) return "an unknown error";
  return name;
}

ossc_status cu_check(const cu_api* cu, int32_t error, const char* device, const char* what) {
  if (error == CU_SUCCESS) return OSSC_OK;
  meaning means = meaning_of(error);
  return fail(means == MEMORY ? OSSC_ERROR_MEMORY : OSSC_ERROR_MACHINE,
              "The CUDA device %.64s cannot %s (%s, %d); %s.", device, what,
              cu_error_name(cu, error), (int)error, advice_for[means]);
}
