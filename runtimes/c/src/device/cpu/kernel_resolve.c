#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "device/cpu/kernel_table.h"

#define BASE_NAME "base"

static bool cpu_has_all(const ossc_instruction_set* set) {
  for (const char* const* feature = set->cpu_features; *feature != NULL; ++feature) {
    if (!cpu_has(*feature)) return false;
  }
  return true;
}

/* What the CPU was found to have; asking it takes microseconds in a virtual machine. */
typedef struct choice {
  const char* forced; /* or NULL */
  const ossc_instruction_set* known;
  bool usable;
} choice;

static bool is_usable(choice* c, const ossc_instruction_set* set) {
  if (set == NULL) return true;
  if (c->forced != NULL && strcmp(c->forced, set->name) != 0) return false;
  if (c->known != set) *c = (choice){c->forced, set, cpu_has_all(set)};
  return c->usable;
}

static const ossc_kernel* first_of(const char* name) {
  for (size_t i = 0; i < ossc_kernel_count; ++i) {
    if (strcmp(ossc_kernels[i].name, name) == 0) return &ossc_kernels[i];
  }
  return NULL;
}

static ossc_status resolve_step(choice* c, const plan* p, const plan_step* step,
                                kernel_choice* choice_out) {
  if (step->kind != PLAN_HOST_KERNEL) {
    return fail(OSSC_ERROR_BUNDLE,
                "The plan has a step for another device than the CPU that it names (%.64s); compile "
                "the model again.",
                step->label);
  }
  const char* name = step->host_kernel.kernel;
  const ossc_kernel *kernel = first_of(name), *base = kernel;
  if (kernel == NULL) {
    return fail(OSSC_ERROR_BUNDLE,
                "The plan calls the kernel %s, which this program does not have; run the "
                "program of the same bundle.",
                name);
  }
  if (!kernel_signature_fits(kernel->takes, p, step)) {
    return fail(OSSC_ERROR_BUNDLE,
                "The plan gives the kernel %s other buffers than it takes (%.64s); compile the "
                "model again.",
                name, step->label);
  }
  while (!is_usable(c, kernel->needs)) ++kernel;
  while (base->needs != NULL) ++base;
  *choice_out = (kernel_choice){kernel->function, base->function};
  return OSSC_OK;
}

/* Refuses the name of an instruction set that the bundle was not compiled for or the CPU lacks. */
static ossc_status check_forced(const char* name) {
  if (strcmp(name, BASE_NAME) == 0) return OSSC_OK;
  for (size_t i = 0; i < ossc_kernel_count; ++i) {
    const ossc_instruction_set* set = ossc_kernels[i].needs;
    if (set != NULL && strcmp(set->name, name) == 0 && cpu_has_all(set)) return OSSC_OK;
  }
  return fail(OSSC_ERROR_MACHINE,
              KERNEL_TABLE_VARIABLE
              " is %.32s, which this bundle or this CPU does not have; unset "
              "it, or set it to " BASE_NAME ".",
              name);
}

ossc_status kernel_table_resolve(const plan* p, kernel_choice* choices_out) {
  const char* forced = getenv(KERNEL_TABLE_VARIABLE);
  choice c = {forced != NULL && forced[0] != '\0' ? forced : NULL, NULL, false};
  ossc_status status = c.forced == NULL ? OSSC_OK : check_forced(c.forced);
  for (uint32_t i = 0; i < p->num_segments && status == OSSC_OK; ++i) {
    const plan_segment* segment = &p->segments[i];
    for (uint32_t j = 0; j < segment->num_steps && status == OSSC_OK; ++j) {
      const plan_step* step = &segment->steps[j];
      status = resolve_step(&c, p, step, &choices_out[step->number]);
    }
  }
  return status;
}

static const char* needs_of(const plan_step* step, tvm_function function) {
  const ossc_kernel* kernel = first_of(step->host_kernel.kernel);
  for (; kernel->needs != NULL; ++kernel) {
    if (kernel->function == function) return kernel->needs->name;
  }
  return NULL;
}

const char* kernel_table_instruction_set(const plan* p, const kernel_choice* choices) {
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    for (uint32_t j = 0; j < p->segments[i].num_steps; ++j) {
      const plan_step* step = &p->segments[i].steps[j];
      const char* name = needs_of(step, choices[step->number].function);
      if (name != NULL) return name;
    }
  }
  return BASE_NAME;
}
