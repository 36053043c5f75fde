/* A space of the plan in the memory of a CUDA device. */
#ifndef OSSC_CU_SPACE_H_
#define OSSC_CU_SPACE_H_

#include "bundle/plan.h"
#include "device/cuda/cu_target.h"
#include "device/host/memory.h"

typedef struct cu_space {
  cu_address address; /* 0 where the space is empty */
  memory host;        /* the pages that it is, where the device shares them; else nothing */
  size_t size_bytes;
} cu_space;

/* Refuses a plan that takes more than the device has. */
ossc_status cu_space_check(const cu_target* target, const plan* p);

/* The file of a space of weights: its pages where the device shares memory, or a copy. */
ossc_status cu_space_load(const cu_target* target, const plan_space* space, const char* directory,
                          ossc_weights_mode mode, cu_space* space_out);

/* Memory with any content. */
ossc_status cu_space_allocate(const cu_target* target, const plan_space* space,
                              cu_space* space_out);

void cu_space_free(const cu_target* target, cu_space* space);

#endif /* OSSC_CU_SPACE_H_ */
