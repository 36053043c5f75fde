#include "measure/kernel_trial.h"

#include <stdlib.h>

#include "device/cpu/kernel_call.h"

#define BLOCK 32

/* Elements of a KV cache that get numbers: the first tokens see no others. */
#define CACHE_ELEMENTS ((size_t)1 << 13)

static uint32_t next_random(uint32_t* state) { return *state = *state * 1664525u + 1013904223u; }

size_t kernel_trial_count(const DLTensor* tensor) {
  size_t count = 1;
  for (int d = 0; d < tensor->ndim; ++d) count *= (size_t)tensor->shape[d];
  return count;
}

/* Integers of 32 bits say which expert meets which token: of a chunk all meet the first one. */
static void fill_routing(DLTensor* tensor, int32_t pairs) {
  int32_t* values = tensor->data;
  for (size_t i = 0; i < kernel_trial_count(tensor); ++i) {
    bool offset = tensor->ndim == 1;
    values[i] = offset ? (i == 0 ? 0 : pairs) : (int32_t)i;
  }
}

static void fill(DLTensor* tensor, size_t most, int32_t pairs, uint32_t* random) {
  if (tensor->dtype.code == DL_INT && tensor->dtype.bits == 32) {
    fill_routing(tensor, pairs);
    return;
  }
  size_t count = kernel_trial_count(tensor);
  if (count > most) count = most;
  for (size_t i = 0; i < count; ++i) {
    uint32_t value = next_random(random) >> 8;
    if (tensor->dtype.code == DL_FLOAT && tensor->dtype.bits == 32) {
      ((float*)tensor->data)[i] = 0.5f + (float)value / (1 << 25);
    } else if (tensor->dtype.code == DL_FLOAT && tensor->dtype.bits == 16) {
      ((uint16_t*)tensor->data)[i] = (uint16_t)(0x3800 + value % 0x400); /* from 0.5 to 1 */
    } else if (tensor->dtype.code == DL_INT && tensor->dtype.bits == 64) {
      ((int64_t*)tensor->data)[i] = (int64_t)i; /* the position of a token */
    } else if (tensor->dtype.code == DL_INT && tensor->dtype.bits == 16) {
      ((int16_t*)tensor->data)[i] = (int16_t)((int32_t)(value % 64517) - 32258);
    } else if (tensor->dtype.code == DL_INT && tensor->dtype.bits == 8) {
      ((int8_t*)tensor->data)[i] = (int8_t)((int32_t)(value % 255) - 127);
    }
  }
}

/* Codes of int8 come with scales and the sum of each block of codes. */
static void fill_sums(kernel_trial* t) {
  const DLTensor* codes = &t->tensors[0];
  if (codes->dtype.code != DL_INT || codes->dtype.bits != 8 || t->step->num_tensors < 4) return;
  float* sums = t->tensors[2].data;
  const int8_t* values = codes->data;
  if (t->buffers[2].data == NULL ||
      kernel_trial_count(&t->tensors[2]) != kernel_trial_count(codes) / BLOCK) {
    return;
  }
  for (size_t i = 0; i < kernel_trial_count(codes) / BLOCK; ++i) {
    int32_t sum = 0;
    for (size_t j = 0; j < BLOCK; ++j) sum += values[i * BLOCK + j];
    sums[i] = (float)sum;
  }
}

void kernel_trial_free(kernel_trial* t) {
  for (uint32_t i = 0; i < t->step->num_tensors; ++i) memory_free(&t->buffers[i]);
}

static bool describe(kernel_trial* t, const plan* p, const memory* weights, uint32_t i) {
  const plan_tensor* planned = &p->tensors[t->step->tensors[i]];
  DLTensor* tensor = &t->tensors[i];
  for (int d = 0; d < planned->num_dimensions; ++d) {
    int64_t size = planned->shape[d];
    t->shapes[i][d] = size == PLAN_N_TOKENS ? t->num_tokens : size;
  }
  *tensor = (DLTensor){.device = {DL_CPU, 0},
                       .ndim = planned->num_dimensions,
                       .dtype = kernel_data_type(planned->dtype),
                       .shape = t->shapes[i]};
  if (planned->space == PLAN_WEIGHTS) {
    tensor->data = (char*)weights->data + planned->offset_bytes;
    return true;
  }
  size_t bytes = kernel_trial_count(tensor) * plan_dtype_bytes(planned->dtype);
  if (memory_allocate(bytes, "the check of the kernels", &t->buffers[i]) != OSSC_OK) return false;
  tensor->data = t->buffers[i].data;
  return true;
}

bool kernel_trial_create(kernel_trial* t, const plan* p, const memory* weights) {
  uint32_t random = 1, last = t->step->num_tensors - 1;
  int64_t slots = 1;
  for (uint32_t i = 0; i <= last; ++i) {
    if (!describe(t, p, weights, i)) return false;
  }
  if (t->tensors[last].ndim == 3) slots = t->tensors[last].shape[1];
  for (uint32_t i = 0; i < last; ++i) {
    bool state = p->tensors[t->step->tensors[i]].space == PLAN_STATE;
    if (t->buffers[i].data == NULL) continue;
    fill(&t->tensors[i], state ? CACHE_ELEMENTS : SIZE_MAX, (int32_t)(slots * t->num_tokens),
         &random);
  }
  fill_sums(t);
  return true;
}
