#include <string.h>

#include "error.h"
#include "kernel_table.h"

static tvm_function find_kernel(const char* name) {
  for (size_t i = 0; i < ossc_kernel_count; ++i) {
    if (strcmp(ossc_kernels[i].name, name) == 0) return ossc_kernels[i].function;
  }
  return NULL;
}

ossc_status kernel_table_resolve(plan* p) {
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    plan_segment* segment = &p->segments[i];
    for (uint32_t j = 0; j < segment->num_steps; ++j) {
      plan_step* step = &segment->steps[j];
      step->function = find_kernel(step->kernel);
      if (step->function == NULL) {
        return fail(OSSC_ERROR_BUNDLE,
                    "The plan calls the kernel %s, which this program does not have; run the "
                    "program of the same bundle.",
                    step->kernel);
      }
    }
  }
  return OSSC_OK;
}
