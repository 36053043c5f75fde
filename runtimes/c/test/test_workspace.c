/* The scratch memory of kernels where sizes have 32 bits. */
#include <stdint.h>

#include "base/tvm_abi.h"
#include "check.h"

extern void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int);

static void* allocate(uint64_t bytes) {
  return __TVMBackendAllocWorkspace(DL_CPU, 0, bytes, DL_FLOAT, 32);
}

/* None of them wraps to a small block. */
static void what_no_size_holds_is_refused(void) {
  static const uint64_t sizes[] = {(uint64_t)1 << 32, ((uint64_t)1 << 32) + 64, UINT64_MAX,
                                   UINT64_MAX - 63,   (uint64_t)1 << 31,        UINT32_MAX};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) CHECK(allocate(sizes[i]) == NULL);
}

int main(void) {
  workspace scratch = {0};
  workspace_bind(&scratch);
  what_no_size_holds_is_refused();
  CHECK(allocate(4096) != NULL);
  workspace_bind(NULL);
  workspace_free(&scratch);
  return 0;
}
