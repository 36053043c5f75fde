#include "device/cpu/kernel_table.h"

/* A size is at least 1 or PLAN_N_TOKENS, so that 0 is none. */
typedef struct said_sizes {
  int64_t sizes[KERNEL_MAX_SIZES];
} said_sizes;

static bool size_fits(int64_t taken, int64_t given, said_sizes* said) {
  if (taken >= 0) return taken == given;
  int64_t* size = &said->sizes[-1 - taken];
  if (*size == 0) *size = given;
  return *size == given;
}

static bool buffer_fits(const ossc_kernel_buffer* taken, const plan_tensor* given,
                        said_sizes* said) {
  bool fits = taken->dtype == given->dtype && taken->num_dimensions == given->num_dimensions;
  for (int32_t d = 0; d < given->num_dimensions && fits; ++d) {
    fits = size_fits(taken->shape[d], given->shape[d], said);
  }
  return fits;
}

bool kernel_signature_fits(const ossc_kernel_signature* takes, const plan* p,
                           const plan_step* step) {
  said_sizes said = {{0}};
  bool fits = takes->ranged == step->host_kernel.ranged && takes->num_buffers == step->num_tensors;
  for (uint32_t i = 0; i < step->num_tensors && fits; ++i) {
    fits = buffer_fits(takes->buffers[i], &p->tensors[step->tensors[i]], &said);
  }
  return fits;
}
