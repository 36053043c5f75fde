#include "device/cpu/kernel_trial.h"

#include "device/cpu/kernel_call.h"

#define LARGEST_INT8_CODE 127
#define LARGEST_INT16_CODE 32258 /* of two terms */

/* Elements of a KV cache that get numbers: the first tokens see no others. */
#define CACHE_ELEMENTS ((size_t)1 << 13)

static uint32_t next_random(uint32_t* state) { return *state = *state * 1664525u + 1013904223u; }

size_t kernel_trial_count(const DLTensor* tensor) {
  size_t count = 1;
  for (int d = 0; d < tensor->ndim; ++d) count *= (size_t)tensor->shape[d];
  return count;
}

static float random_number(uint32_t value) { return 0.5f + (float)value / (1 << 25); }

static int32_t random_integer(uint32_t value, int32_t largest) {
  return (int32_t)(value % (uint32_t)(2 * largest + 1)) - largest;
}

/* Element i as a number of the tensor's type: floats from 0.5 to 1, integers as codes have them. */
static void fill_number(const DLTensor* tensor, size_t i, uint32_t value) {
  uint8_t code = tensor->dtype.code, bits = tensor->dtype.bits;
  if (code == DL_FLOAT && bits == 32) ((float*)tensor->data)[i] = random_number(value);
  if (code == DL_FLOAT && bits == 16) {
    ((uint16_t*)tensor->data)[i] = (uint16_t)(0x3800 + value % 0x400);
  }
  if (code == DL_INT && bits == 16) {
    ((int16_t*)tensor->data)[i] = (int16_t)random_integer(value, LARGEST_INT16_CODE);
  }
  if (code == DL_INT && bits == 8) {
    ((int8_t*)tensor->data)[i] = (int8_t)random_integer(value, LARGEST_INT8_CODE);
  }
}

/* The tensor of the step that has a role; NULL: none has. */
static const DLTensor* find(const kernel_trial* t, plan_role role) {
  for (uint32_t i = 0; i < t->step->num_tensors; ++i) {
    if (t->roles[i] == role) return &t->tensors[i];
  }
  return NULL;
}

/* All pairs of a chunk meet the first expert, whose bounds are the first two. */
static void fill_bounds(const kernel_trial* t, const DLTensor* bounds) {
  const DLTensor* order = find(t, PLAN_ROLE_EXPERT_ORDER);
  int32_t pairs = order == NULL ? 0 : (int32_t)kernel_trial_count(order);
  for (size_t i = 0; i < kernel_trial_count(bounds); ++i) {
    ((int32_t*)bounds->data)[i] = i == 0 ? 0 : pairs;
  }
}

/* Each sum is of its share of the codes, which are int8. */
static void fill_sums(const kernel_trial* t, const DLTensor* sums) {
  const DLTensor* codes = find(t, PLAN_ROLE_CODES);
  size_t count = kernel_trial_count(sums);
  size_t block = codes == NULL ? 0 : kernel_trial_count(codes) / count;
  for (size_t i = 0; i < count; ++i) {
    int32_t sum = 0;
    for (size_t j = 0; j < block; ++j) sum += ((const int8_t*)codes->data)[i * block + j];
    ((float*)sums->data)[i] = (float)sum;
  }
}

static void fill(const DLTensor* tensor, plan_role role, uint32_t* random) {
  size_t count = kernel_trial_count(tensor);
  if (role == PLAN_ROLE_CACHE && count > CACHE_ELEMENTS) count = CACHE_ELEMENTS;
  for (size_t i = 0; i < count; ++i) {
    switch (role) {
      case PLAN_ROLE_TOKEN_IDS:
      case PLAN_ROLE_POSITIONS:
        ((int64_t*)tensor->data)[i] = (int64_t)i;
        break;
      case PLAN_ROLE_EXPERT_INDICES:
      case PLAN_ROLE_EXPERT_ORDER:
        ((int32_t*)tensor->data)[i] = (int32_t)i;
        break;
      default:
        fill_number(tensor, i, next_random(random) >> 8);
    }
  }
}

static void fill_inputs(const kernel_trial* t) {
  uint32_t random = 1, last = t->step->num_tensors - 1;
  for (uint32_t i = 0; i < last; ++i) {
    if (t->buffers[i].data != NULL) fill(&t->tensors[i], t->roles[i], &random);
  }
  for (uint32_t i = 0; i < last; ++i) {
    if (t->roles[i] == PLAN_ROLE_EXPERT_BOUNDS) fill_bounds(t, &t->tensors[i]);
    if (t->roles[i] == PLAN_ROLE_CODE_SUMS) fill_sums(t, &t->tensors[i]);
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
  t->roles[i] = planned->role;
  if (p->spaces[planned->space].use == PLAN_WEIGHTS) {
    tensor->data = (char*)weights[planned->space].data + planned->offset_bytes;
    return true;
  }
  size_t bytes = kernel_trial_count(tensor) * plan_dtype_bytes(planned->dtype);
  if (memory_allocate(bytes, "the check of the kernels", &t->buffers[i]) != OSSC_OK) return false;
  tensor->data = t->buffers[i].data;
  return true;
}

bool kernel_trial_create(kernel_trial* t, const plan* p, const memory* weights) {
  for (uint32_t i = 0; i < t->step->num_tensors; ++i) {
    if (!describe(t, p, weights, i)) return false;
  }
  fill_inputs(t);
  return true;
}
