/* The modules of a plan, and the function that each of its steps launches. */
#ifndef OSSC_CU_FUNCTIONS_H_
#define OSSC_CU_FUNCTIONS_H_

#include "bundle/plan.h"
#include "device/cuda/cu_target.h"

typedef struct cu_functions {
  size_t num_modules;
  struct {
    const char* file; /* of the plan */
    cu_module module;
  }* modules;           /* [num_modules], one for each file of code */
  cu_function* by_step; /* [plan.num_steps], by a step's number */
} cu_functions;

/* Loads them, and refuses a plan whose steps do not fit them or the device. Released by
 * cu_functions_free, also after a failure. */
ossc_status cu_functions_open(const cu_target* target, const plan* p, const char* directory,
                              cu_functions* functions_out);

void cu_functions_free(const cu_target* target, cu_functions* functions);

#endif /* OSSC_CU_FUNCTIONS_H_ */
