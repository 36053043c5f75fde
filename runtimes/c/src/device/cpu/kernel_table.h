/* The kernels that are linked into this program; the compiler generates the table. */
#ifndef OSSC_KERNEL_TABLE_H_
#define OSSC_KERNEL_TABLE_H_

#include <stddef.h>

#include "base/tvm_abi.h"
#include "bundle/plan.h"
#include "device/host/memory.h"

/* Instructions that not every machine of the target has. */
typedef struct ossc_instruction_set {
  const char* name;
  const char* const* cpu_features; /* names of /proc/cpuinfo, then NULL */
} ossc_instruction_set;

#define KERNEL_MAX_SIZES 4

/* A buffer that a kernel takes. A negative dimension, down to -KERNEL_MAX_SIZES, stands for a size
 * that each call says, the same one wherever the number is. */
typedef struct ossc_kernel_buffer {
  plan_dtype dtype;
  int32_t num_dimensions;
  int64_t shape[PLAN_MAX_DIMENSIONS];
} ossc_kernel_buffer;

/* What a kernel takes: buffers, then perhaps the range of its tasks. */
typedef struct ossc_kernel_signature {
  bool ranged;
  uint32_t num_buffers;
  const ossc_kernel_buffer* const* buffers;
} ossc_kernel_signature;

typedef struct ossc_kernel {
  const char* name;
  tvm_function function;
  const ossc_instruction_set* needs; /* NULL: only what every machine of the target has */
  const ossc_kernel_signature* takes;
} ossc_kernel;

/* The entries of one name follow each other, the best first; the last one needs nothing. They take
 * the same buffers and tasks, their last buffer is the only output, and results agree. */
extern const ossc_kernel ossc_kernels[];
extern const size_t ossc_kernel_count;

/* Names the instruction set to use instead of the best that this CPU has; `base` is none. */
#define KERNEL_TABLE_VARIABLE "OSSC_INSTRUCTION_SET"

/* What a step calls. */
typedef struct kernel_choice {
  tvm_function function;
  tvm_function base; /* the one that runs on every machine of the target */
} kernel_choice;

/* Whether the buffers of a step, and its being ranged, are what its kernel takes. */
bool kernel_signature_fits(const ossc_kernel_signature* takes, const plan* p,
                           const plan_step* step);

/* Chooses for every step the best function that this CPU can run; refuses a step whose buffers are
 * not what it takes, because functions do not look.
 *   choices_out  [p->num_steps], by the steps' numbers */
ossc_status kernel_table_resolve(const plan* p, kernel_choice* choices_out);

/* The best of the instruction sets that the chosen functions need; `base` without any. */
const char* kernel_table_instruction_set(const plan* p, const kernel_choice* choices);

/* Compares every kernel that needs more than the target promises with the one that does not, on a
 * small input, and takes the latter instead, with a warning on stderr, where they disagree.
 *   weights  [p->num_spaces] */
ossc_status kernel_table_check(const plan* p, const memory* weights, kernel_choice* choices);

#endif /* OSSC_KERNEL_TABLE_H_ */
