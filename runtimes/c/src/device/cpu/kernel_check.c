#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "device/cpu/kernel_call.h"
#include "device/cpu/kernel_table.h"
#include "device/cpu/kernel_trial.h"

#define MAX_TOKENS 13 /* tiles of several sizes */
#define COLUMNS 64    /* of each row of the output: more than the first task writes */
#define TOLERANCE 1e-4

static size_t last_of(const DLTensor* tensor) { return (size_t)tensor->shape[tensor->ndim - 1]; }

/* Copies the beginning of each row of the output. Returns the number of values. */
static size_t read_output(const kernel_trial* t, float* values) {
  const DLTensor* out = &t->tensors[t->step->num_tensors - 1];
  size_t columns = last_of(out), kept = columns < COLUMNS ? columns : COLUMNS;
  size_t rows = kernel_trial_count(out) / columns;
  for (size_t row = 0; row < rows; ++row) {
    const float* from = (const float*)out->data + row * columns;
    memcpy(values + row * kept, from, kept * sizeof(float));
  }
  return rows * kept;
}

static void clear_output(const kernel_trial* t) {
  const DLTensor* out = &t->tensors[t->step->num_tensors - 1];
  size_t columns = last_of(out), kept = columns < COLUMNS ? columns : COLUMNS;
  for (size_t row = 0; row < kernel_trial_count(out) / columns; ++row) {
    memset((float*)out->data + row * columns, 0, kept * sizeof(float));
  }
}

static bool agree(const float* a, const float* b, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; ++i) largest = fmax(largest, fabs((double)b[i]));
  for (size_t i = 0; i < count; ++i) {
    if (isnan(a[i]) != isnan(b[i]) || fabs((double)a[i] - b[i]) > TOLERANCE * largest) return false;
  }
  return true;
}

static ossc_status call_trial(kernel_trial* t, tvm_function function, const int32_t* range) {
  DLTensor* tensors[PLAN_MAX_STEP_TENSORS];
  for (uint32_t i = 0; i < t->step->num_tensors; ++i) tensors[i] = &t->tensors[i];
  return kernel_call(t->step, function, tensors, range);
}

/* The results of the first task of the step's kernel and of the base kernel; 0: it failed. */
static size_t run_first_task(kernel_trial* t, tvm_function function, float* values) {
  const int32_t range[2] = {0, 1};
  clear_output(t);
  if (call_trial(t, function, range) != OSSC_OK) return 0;
  return read_output(t, values);
}

static ossc_status compare(kernel_trial* t, const kernel_choice* choice, bool* agree_out) {
  const DLTensor* out = &t->tensors[t->step->num_tensors - 1];
  size_t most = kernel_trial_count(out) / last_of(out) * COLUMNS;
  float *chosen = calloc(most, sizeof(float)), *base = calloc(most, sizeof(float));
  if (chosen == NULL || base == NULL) {
    free(chosen);
    free(base);
    return fail_out_of_memory("the check of the kernels");
  }
  size_t count = run_first_task(t, choice->function, chosen);
  *agree_out =
      count > 0 && run_first_task(t, choice->base, base) == count && agree(chosen, base, count);
  free(chosen);
  free(base);
  return OSSC_OK;
}

static ossc_status check_step(const plan* p, const memory* weights, const plan_step* step,
                              const kernel_choice* choice, int32_t num_tokens, bool* agree_out) {
  kernel_trial t = {.step = step, .num_tokens = num_tokens};
  ossc_status status = kernel_trial_create(&t, p, weights)
                           ? compare(&t, choice, agree_out)
                           : fail_out_of_memory("the check of the kernels");
  kernel_trial_free(&t);
  return status;
}

/* All steps of a kernel call this function from now on, and are checked. */
static void settle(const plan* p, const char* kernel, tvm_function function,
                   kernel_choice* choices) {
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    for (uint32_t j = 0; j < p->segments[i].num_steps; ++j) {
      const plan_step* step = &p->segments[i].steps[j];
      if (strcmp(step->host_kernel.kernel, kernel) != 0) continue;
      choices[step->number] = (kernel_choice){function, function};
    }
  }
}

static ossc_status check_and_settle(const plan* p, const memory* weights,
                                    const plan_segment* segment, const plan_step* step,
                                    kernel_choice* choices) {
  int32_t tokens = segment->max_tokens < MAX_TOKENS ? (int32_t)segment->max_tokens : MAX_TOKENS;
  kernel_choice choice = choices[step->number];
  const char* kernel = step->host_kernel.kernel;
  bool agrees = false;
  ossc_status status = check_step(p, weights, step, &choice, tokens, &agrees);
  if (status != OSSC_OK) return status;
  if (!agrees) {
    fprintf(stderr,
            "ossc: The kernel %s computes something else with this CPU's special instructions than "
            "without; going on without them.\n",
            kernel);
  }
  settle(p, kernel, agrees ? choice.function : choice.base, choices);
  return OSSC_OK;
}

ossc_status kernel_table_check(const plan* p, const memory* weights, kernel_choice* choices) {
  workspace scratch = {0};
  ossc_status status = OSSC_OK;
  workspace_bind(&scratch);
  for (uint32_t i = 0; i < p->num_segments && status == OSSC_OK; ++i) {
    const plan_segment* segment = &p->segments[i];
    for (uint32_t j = 0; j < segment->num_steps && status == OSSC_OK; ++j) {
      const plan_step* step = &segment->steps[j];
      const kernel_choice* choice = &choices[step->number];
      if (choice->function == choice->base) continue;
      status = check_and_settle(p, weights, segment, step, choices);
    }
  }
  workspace_bind(NULL);
  workspace_free(&scratch);
  return status;
}
