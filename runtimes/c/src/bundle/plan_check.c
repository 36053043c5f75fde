#include <string.h>

#include "base/file.h"
#include "bundle/plan.h"

#define MAX_DIMENSION ((int64_t)1 << 48)
#define MAX_SPACE_BYTES ((uint64_t)1 << 48)
#define MIN_ALIGNMENT_BYTES 64
#define MAX_ALIGNMENT_BYTES 4096 /* a page: what every memory keeps to */

size_t plan_dtype_bytes(plan_dtype dtype) {
  static const uint8_t sizes[PLAN_NUM_DTYPES] = {4, 1, 1, 4, 8, 2, 2, 2, 1, 2};
  return sizes[dtype];
}

static bool is_alignment(uint32_t bytes) {
  return bytes >= MIN_ALIGNMENT_BYTES && bytes <= MAX_ALIGNMENT_BYTES && (bytes & (bytes - 1)) == 0;
}

static ossc_status check_file(const plan* p, const plan_space* space) {
  if (space->use != PLAN_WEIGHTS) {
    return space->file[0] == '\0' ? OSSC_OK : plan_fault("a space of no weights names a file");
  }
  if (!file_name_is_valid(space->file)) return plan_fault("weights lie in no file of a bundle");
  for (const plan_space* other = p->spaces; other < space; ++other) {
    if (strcmp(other->file, space->file) == 0) return plan_fault("two spaces lie in one file");
  }
  return OSSC_OK;
}

ossc_status plan_check_spaces(const plan* p) {
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    const plan_space* space = &p->spaces[i];
    if ((unsigned)space->use >= PLAN_NUM_USES) return plan_fault("a space has an unknown use");
    if (space->device >= p->num_devices) return plan_fault("a space is on no device");
    if (!is_alignment(space->alignment_bytes)) return plan_fault("a space is oddly aligned");
    if (space->size_bytes > MAX_SPACE_BYTES) return plan_fault("a space is too large");
    status = check_file(p, space);
  }
  return status;
}

static ossc_status check_shape(const plan_tensor* tensor) {
  int symbols = 0;
  for (int i = 0; i < tensor->num_dimensions; ++i) {
    int64_t size = tensor->shape[i];
    symbols += size == PLAN_N_TOKENS;
    if (size != PLAN_N_TOKENS && (size < 1 || size > MAX_DIMENSION)) {
      return plan_fault("a shape has an impossible dimension");
    }
  }
  return symbols <= 1 ? OSSC_OK : plan_fault("a shape has two dimensions of n_tokens");
}

/* The types that a role allows, by their bits; 0: all. */
static const uint16_t dtypes_of_role[PLAN_NUM_ROLES] = {
    [PLAN_ROLE_TOKEN_IDS] = 1 << PLAN_I32 | 1 << PLAN_I64,
    [PLAN_ROLE_POSITIONS] = 1 << PLAN_I32 | 1 << PLAN_I64,
    [PLAN_ROLE_HIDDEN] = 1 << PLAN_F32,
    [PLAN_ROLE_LOGITS] = 1 << PLAN_F32,
    [PLAN_ROLE_EXPERT_OFFSETS] = 1 << PLAN_I64,
    [PLAN_ROLE_EXPERT_INDICES] = 1 << PLAN_I32,
    [PLAN_ROLE_EXPERT_BOUNDS] = 1 << PLAN_I32,
    [PLAN_ROLE_EXPERT_ORDER] = 1 << PLAN_I32,
    [PLAN_ROLE_CODES] = 1 << PLAN_I8 | 1 << PLAN_I16,
    [PLAN_ROLE_CODE_SCALES] = 1 << PLAN_F32,
    [PLAN_ROLE_CODE_SUMS] = 1 << PLAN_F32,
};

static ossc_status check_role(const plan_tensor* tensor, plan_use use) {
  uint16_t allowed = dtypes_of_role[tensor->role];
  bool is_weights = tensor->role == PLAN_ROLE_WEIGHTS;
  bool fits =
      use == PLAN_WEIGHTS ? is_weights || tensor->role == PLAN_ROLE_EXPERT_OFFSETS : !is_weights;
  if (!fits || (tensor->role == PLAN_ROLE_CACHE && use != PLAN_STATE)) {
    return plan_fault("a buffer lies in a space that is not for its role");
  }
  if (allowed == 0 || allowed & 1 << tensor->dtype) return OSSC_OK;
  return plan_fault("a buffer has a type that its role does not have");
}

ossc_status plan_check_tensor(const plan* p, const plan_tensor* tensor) {
  if (tensor->space >= p->num_spaces || (unsigned)tensor->role >= PLAN_NUM_ROLES ||
      (unsigned)tensor->dtype >= PLAN_NUM_DTYPES) {
    return plan_fault("a buffer has an unknown space, role or type");
  }
  const plan_space* space = &p->spaces[tensor->space];
  if (tensor->offset_bytes % space->alignment_bytes != 0 ||
      tensor->offset_bytes > MAX_SPACE_BYTES) {
    return plan_fault("a buffer is unaligned or out of range");
  }
  ossc_status status = check_shape(tensor);
  return status == OSSC_OK ? check_role(tensor, space->use) : status;
}

/* Whether the buffer lies in its space when it has max_tokens rows. */
static bool is_inside(const plan* p, const plan_tensor* tensor, uint32_t max_tokens) {
  uint64_t end = plan_dtype_bytes(tensor->dtype);
  for (int i = 0; i < tensor->num_dimensions; ++i) {
    int64_t size = tensor->shape[i];
    uint64_t factor = size == PLAN_N_TOKENS ? max_tokens : (uint64_t)size;
    if (__builtin_mul_overflow(end, factor, &end)) return false;
  }
  if (__builtin_add_overflow(end, tensor->offset_bytes, &end)) return false;
  return end <= p->spaces[tensor->space].size_bytes;
}

static ossc_status check_use(const plan* p, const plan_segment* segment, uint32_t tensor) {
  if (tensor >= p->num_tensors) return plan_fault("a segment uses a buffer that is not there");
  if (!is_inside(p, &p->tensors[tensor], segment->max_tokens)) {
    return plan_fault("a buffer goes beyond its space");
  }
  return OSSC_OK;
}

ossc_status plan_check_bounds(const plan* p, const plan_segment* segment) {
  ossc_status status = OSSC_OK;
  uint32_t num_bindings = segment->num_inputs + segment->num_outputs;
  for (uint32_t i = 0; i < num_bindings && status == OSSC_OK; ++i) {
    status = check_use(p, segment, segment->bindings[i].tensor);
  }
  for (uint32_t i = 0; i < segment->num_steps; ++i) {
    const plan_step* step = &segment->steps[i];
    for (uint32_t j = 0; j < step->num_tensors && status == OSSC_OK; ++j) {
      status = check_use(p, segment, step->tensors[j]);
    }
  }
  return status;
}
