/* The kernels that are linked into this program; the compiler generates the table. */
#ifndef OSSC_KERNEL_TABLE_H_
#define OSSC_KERNEL_TABLE_H_

#include <stddef.h>

#include "plan.h"
#include "tvm_abi.h"

typedef struct ossc_kernel {
  const char* name;
  tvm_function function;
} ossc_kernel;

extern const ossc_kernel ossc_kernels[];
extern const size_t ossc_kernel_count;

/* Sets the function of every step. */
ossc_status kernel_table_resolve(plan* p);

#endif /* OSSC_KERNEL_TABLE_H_ */
