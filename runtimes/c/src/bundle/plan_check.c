#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bundle/plan.h"

#define MAX_DIMENSION ((int64_t)1 << 48)
#define MAX_OFFSET_BYTES ((uint64_t)1 << 48)
#define ROUTER_PREFIX "router_indices."

size_t plan_dtype_bytes(plan_dtype dtype) {
  static const uint8_t sizes[PLAN_NUM_DTYPES] = {4, 1, 1, 4, 8, 2, 2, 2, 1, 2};
  return sizes[dtype];
}

ossc_status plan_check_tensor(const plan_tensor* tensor) {
  int symbols = 0;
  if ((unsigned)tensor->space >= PLAN_NUM_SPACES || (unsigned)tensor->dtype >= PLAN_NUM_DTYPES) {
    return plan_fault("a buffer has an unknown space or type");
  }
  if (tensor->offset_bytes % PLAN_ALIGNMENT_BYTES != 0 || tensor->offset_bytes > MAX_OFFSET_BYTES) {
    return plan_fault("a buffer is unaligned or out of range");
  }
  for (int i = 0; i < tensor->num_dimensions; ++i) {
    int64_t size = tensor->shape[i];
    symbols += size == PLAN_N_TOKENS;
    if (size != PLAN_N_TOKENS && (size < 1 || size > MAX_DIMENSION)) {
      return plan_fault("a shape has an impossible dimension");
    }
  }
  return symbols <= 1 ? OSSC_OK : plan_fault("a shape has two dimensions of n_tokens");
}

static bool is_symbol(const char* name) {
  const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  return name[0] != '\0' && strspn(name, letters) == strlen(name) &&
         (name[0] < '0' || name[0] > '9');
}

ossc_status plan_check_step(const plan_step* step, uint32_t max_tokens) {
  uint64_t tasks = step->tasks_fixed + (uint64_t)step->tasks_per_token * max_tokens;
  if (!is_symbol(step->kernel)) return plan_fault("a kernel does not have the name of a function");
  if (tasks > INT32_MAX) return plan_fault("a step has too many tasks");
  if (step->ranged != (tasks > 0)) return plan_fault("a step is ranged without tasks, or not");
  if (step->layer < PLAN_NO_LAYER || step->layer >= PLAN_MAX_TOKENS) {
    return plan_fault("a step is in an impossible layer");
  }
  return OSSC_OK;
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
  return end <= p->space_bytes[tensor->space];
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

static ossc_status find(const plan_binding* bindings, uint32_t count, const char* name,
                        uint32_t* tensor_out) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (strcmp(bindings[i].name, name) != 0) continue;
    *tensor_out = bindings[i].tensor;
    ++found;
  }
  return found == 1 ? OSSC_OK : plan_fault("an input or output is missing or there twice");
}

/* The buffer is [n_tokens], or [n_tokens, columns] when columns is not 0, in the state. */
static ossc_status check_rows(const plan* p, const plan_segment* segment, uint32_t index,
                              plan_dtype dtype, int64_t columns) {
  const plan_tensor* tensor = &p->tensors[index];
  int64_t rows = tensor->num_dimensions > 0 ? tensor->shape[0] : 0;
  bool has_rows = rows == PLAN_N_TOKENS || (rows == 1 && segment->max_tokens == 1);
  bool has_columns = columns == 0 ? tensor->num_dimensions == 1
                                  : tensor->num_dimensions == 2 && tensor->shape[1] == columns;
  if (tensor->space != PLAN_STATE || tensor->dtype != dtype || !has_rows || !has_columns) {
    return plan_fault("an input or output has the wrong shape, type or space");
  }
  return OSSC_OK;
}

/* Columns of an output of decode; the result is checked by check_rows. */
static int64_t last_dimension(const plan_tensor* tensor) {
  return tensor->num_dimensions == 2 ? tensor->shape[1] : -1;
}

static ossc_status check_width(int64_t columns, int32_t* columns_out) {
  if (columns < 1 || columns > INT32_MAX) return plan_fault("an output of decode has no columns");
  *columns_out = (int32_t)columns;
  return OSSC_OK;
}

/* The layer of `router_indices.<layer>`, without leading zeros; -1 for any other name. */
static int32_t router_layer(const char* name) {
  size_t prefix = strlen(ROUTER_PREFIX);
  if (strncmp(name, ROUTER_PREFIX, prefix) != 0) return -1;
  const char* digits = name + prefix;
  size_t length = strlen(digits);
  if (length < 1 || length > 5 || strspn(digits, "0123456789") != length) return -1;
  return digits[0] == '0' && length > 1 ? -1 : (int32_t)strtol(digits, NULL, 10);
}

/* All outputs but `hidden` are routers, in the order of the layers, as in decode. */
static ossc_status resolve_routers(plan* p, plan_segment* segment) {
  const plan_binding* outputs = segment->bindings + segment->num_inputs;
  const plan_binding* expected = p->decode->bindings + p->decode->num_inputs;
  int32_t previous = -1, count = 0;
  segment->router_indices = calloc(segment->num_outputs + 1, sizeof(uint32_t));
  if (segment->router_indices == NULL) return fail_out_of_memory("the plan");
  for (uint32_t i = 0, j = 0; i < segment->num_outputs; ++i) {
    if (strcmp(outputs[i].name, "hidden") == 0) continue;
    int32_t layer = router_layer(outputs[i].name);
    while (j < p->decode->num_outputs && strcmp(expected[j].name, "hidden") == 0) ++j;
    bool same = j < p->decode->num_outputs && strcmp(expected[j++].name, outputs[i].name) == 0;
    if (layer <= previous || !same) return plan_fault("the outputs of routers are out of order");
    previous = layer;
    segment->router_indices[count++] = outputs[i].tensor;
  }
  if (segment == p->decode) p->num_router_layers = count;
  return count == p->num_router_layers ? OSSC_OK : plan_fault("an output of a router is missing");
}

static ossc_status check_routers(plan* p, const plan_segment* segment) {
  if (p->num_router_layers == 0) return OSSC_OK;
  int64_t columns = last_dimension(&p->tensors[p->decode->router_indices[0]]);
  ossc_status status = check_width(columns, &p->num_experts_per_tok);
  for (int32_t i = 0; i < p->num_router_layers && status == OSSC_OK; ++i) {
    status = check_rows(p, segment, segment->router_indices[i], PLAN_I32, columns);
  }
  return status;
}

static ossc_status check_body(plan* p, plan_segment* segment) {
  if (segment->num_inputs != 2) return plan_fault("decode or prefill has unknown inputs");
  const plan_binding* outputs = segment->bindings + segment->num_inputs;
  ossc_status status = find(segment->bindings, 2, "input_ids", &segment->input_ids);
  if (status == OSSC_OK)
    status = find(segment->bindings, 2, "position_ids", &segment->position_ids);
  if (status == OSSC_OK) status = find(outputs, segment->num_outputs, "hidden", &segment->hidden);
  if (status == OSSC_OK) status = resolve_routers(p, segment);
  if (status == OSSC_OK) status = check_rows(p, segment, segment->input_ids, PLAN_I64, 0);
  if (status == OSSC_OK) status = check_rows(p, segment, segment->position_ids, PLAN_I64, 0);
  if (status == OSSC_OK && segment == p->decode) {
    status = check_width(last_dimension(&p->tensors[segment->hidden]), &p->hidden_size);
  }
  if (status == OSSC_OK) status = check_rows(p, segment, segment->hidden, PLAN_F32, p->hidden_size);
  return status == OSSC_OK ? check_routers(p, segment) : status;
}

static ossc_status check_head(plan* p, plan_segment* segment) {
  if (segment->num_inputs != 1 || segment->num_outputs != 1) {
    return plan_fault("a head has unknown inputs or outputs");
  }
  ossc_status status = find(segment->bindings, 1, "hidden", &segment->hidden);
  if (status == OSSC_OK) status = find(segment->bindings + 1, 1, "logits", &segment->logits);
  if (status == OSSC_OK) status = check_rows(p, segment, segment->hidden, PLAN_F32, p->hidden_size);
  if (status == OSSC_OK) status = check_rows(p, segment, segment->logits, PLAN_F32, p->vocab_size);
  return status;
}

/* One decode, one prefill, one head for one row, and heads of different sizes. */
static ossc_status find_segments(plan* p) {
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    plan_segment* segment = &p->segments[i];
    for (uint32_t j = 0; j < i; ++j) {
      const plan_segment* other = &p->segments[j];
      bool alike = segment->kind == PLAN_HEAD ? segment->max_tokens == other->max_tokens : true;
      if (segment->kind == other->kind && alike) return plan_fault("two segments are alike");
    }
    if (segment->kind == PLAN_DECODE) p->decode = segment;
    if (segment->kind == PLAN_PREFILL) p->prefill = segment;
    if (segment->kind != PLAN_HEAD) continue;
    if (segment->max_tokens == 1) p->head = segment;
    if (p->block_head == NULL || segment->max_tokens > p->block_head->max_tokens) {
      p->block_head = segment;
    }
  }
  if (p->decode == NULL || p->prefill == NULL || p->head == NULL) {
    return plan_fault("decode, prefill or the head for one row is missing");
  }
  return p->decode->max_tokens == 1 ? OSSC_OK : plan_fault("decode takes more than one token");
}

ossc_status plan_check_interface(plan* p) {
  ossc_status status = find_segments(p);
  if (status != OSSC_OK) return status;
  status = check_body(p, p->decode); /* first: it defines the sizes */
  for (uint32_t i = 0; i < p->num_segments && status == OSSC_OK; ++i) {
    plan_segment* segment = &p->segments[i];
    if (segment->kind == PLAN_PREFILL) status = check_body(p, segment);
    if (segment->kind == PLAN_HEAD) status = check_head(p, segment);
  }
  return status;
}
