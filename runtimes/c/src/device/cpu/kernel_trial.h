/* Buffers of one step's kernel, for a call on numbers that are made up. */
#ifndef OSSC_KERNEL_TRIAL_H_
#define OSSC_KERNEL_TRIAL_H_

#include "base/tvm_abi.h"
#include "bundle/plan.h"
#include "device/host/memory.h"

typedef struct kernel_trial {
  const plan_step* step;
  int32_t num_tokens;
  DLTensor tensors[PLAN_MAX_STEP_TENSORS]; /* the last one is the output */
  plan_role roles[PLAN_MAX_STEP_TENSORS];
  int64_t shapes[PLAN_MAX_STEP_TENSORS][PLAN_MAX_DIMENSIONS];
  memory buffers[PLAN_MAX_STEP_TENSORS]; /* of the tensors that are not weights */
} kernel_trial;

/* Makes the buffers of t->step for t->num_tokens and fills the inputs: weights are the model's, the
 * rest is random, the first tokens of a text, and all meet the first expert. Returns whether there
 * was memory; release the trial with kernel_trial_free either way.
 *   weights  [p->num_spaces] */
bool kernel_trial_create(kernel_trial* t, const plan* p, const memory* weights);

void kernel_trial_free(kernel_trial* t);

/* Elements of a tensor. */
size_t kernel_trial_count(const DLTensor* tensor);

#endif /* OSSC_KERNEL_TRIAL_H_ */
