#include <stdlib.h>

#include "base/error.h"
#include "bundle/plan.h"

/* The inputs or the outputs of a segment. */
typedef struct bindings {
  const plan_binding* first;
  uint32_t count;
} bindings;

static bindings inputs_of(const plan_segment* segment) {
  return (bindings){segment->bindings, segment->num_inputs};
}

static bindings outputs_of(const plan_segment* segment) {
  return (bindings){segment->bindings + segment->num_inputs, segment->num_outputs};
}

/* The one that has a role and a layer. */
static ossc_status find(const plan* p, bindings among, plan_role role, int32_t layer,
                        uint32_t* tensor_out) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < among.count; ++i) {
    const plan_binding* each = &among.first[i];
    if (p->tensors[each->tensor].role != role || each->layer != layer) continue;
    *tensor_out = each->tensor;
    ++found;
  }
  return found == 1 ? OSSC_OK : plan_fault("an input or output is missing or there twice");
}

/* The buffer is [n_tokens], or [n_tokens, columns] when columns is not 0, in a state. */
static ossc_status check_rows(const plan* p, const plan_segment* segment, uint32_t index,
                              int64_t columns) {
  const plan_tensor* tensor = &p->tensors[index];
  int64_t rows = tensor->num_dimensions > 0 ? tensor->shape[0] : 0;
  bool has_rows = rows == PLAN_N_TOKENS || (rows == 1 && segment->max_tokens == 1);
  bool has_columns = columns == 0 ? tensor->num_dimensions == 1
                                  : tensor->num_dimensions == 2 && tensor->shape[1] == columns;
  if (p->spaces[tensor->space].use != PLAN_STATE || !has_rows || !has_columns) {
    return plan_fault("an input or output has the wrong shape or space");
  }
  return OSSC_OK;
}

/* Columns of an output of decode; that there are rows is for check_rows to see. */
static ossc_status read_width(const plan_tensor* tensor, int32_t* columns_out) {
  int64_t columns = tensor->num_dimensions == 2 ? tensor->shape[1] : 0;
  if (columns < 1 || columns > INT32_MAX) return plan_fault("an output of decode has no columns");
  *columns_out = (int32_t)columns;
  return OSSC_OK;
}

/* Decode says which routers there are, and how many experts each chooses. */
static ossc_status read_router_widths(plan* p) {
  bindings outputs = outputs_of(p->decode);
  p->num_router_layers = (int32_t)outputs.count - 1; /* all but `hidden` */
  p->router_widths = calloc(outputs.count, sizeof(int32_t));
  if (p->router_widths == NULL) return fail_out_of_memory("the plan");
  int32_t* width = p->router_widths;
  for (uint32_t i = 0; i < outputs.count; ++i) {
    const plan_tensor* tensor = &p->tensors[outputs.first[i].tensor];
    if (tensor->role == PLAN_ROLE_HIDDEN) continue;
    ossc_status status = read_width(tensor, width);
    if (status != OSSC_OK) return status;
    if (*width > p->num_experts_per_tok) p->num_experts_per_tok = *width;
    ++width;
  }
  return OSSC_OK;
}

/* The next output from *place on that is not `hidden`; NULL: there is none. */
static const plan_binding* next_router(const plan* p, bindings outputs, uint32_t* place) {
  while (*place < outputs.count) {
    const plan_binding* each = &outputs.first[(*place)++];
    if (p->tensors[each->tensor].role != PLAN_ROLE_HIDDEN) return each;
  }
  return NULL;
}

/* All outputs but `hidden` are routers, in the order of the layers, as in decode. */
static ossc_status resolve_routers(plan* p, plan_segment* segment) {
  int32_t previous = -1;
  uint32_t place = 0, expected_place = 0;
  segment->router_indices = calloc(segment->num_outputs, sizeof(uint32_t));
  if (segment->router_indices == NULL) return fail_out_of_memory("the plan");
  if (segment->num_outputs != p->decode->num_outputs) {
    return plan_fault("an output of a router is missing");
  }
  for (int32_t i = 0; i < p->num_router_layers; ++i) {
    const plan_binding* each = next_router(p, outputs_of(segment), &place);
    const plan_binding* expected = next_router(p, outputs_of(p->decode), &expected_place);
    if (each == NULL || expected == NULL || each->layer <= previous ||
        each->layer != expected->layer ||
        p->tensors[each->tensor].role != PLAN_ROLE_EXPERT_INDICES) {
      return plan_fault("the outputs of routers are out of order, or not of routers");
    }
    ossc_status status = check_rows(p, segment, each->tensor, p->router_widths[i]);
    if (status != OSSC_OK) return status;
    previous = each->layer;
    segment->router_indices[i] = each->tensor;
  }
  return OSSC_OK;
}

static ossc_status check_body(plan* p, plan_segment* segment) {
  bindings inputs = inputs_of(segment), outputs = outputs_of(segment);
  if (inputs.count != 2) return plan_fault("decode or prefill has unknown inputs");
  ossc_status status = find(p, inputs, PLAN_ROLE_TOKEN_IDS, PLAN_NO_LAYER, &segment->token_ids);
  if (status == OSSC_OK) {
    status = find(p, inputs, PLAN_ROLE_POSITIONS, PLAN_NO_LAYER, &segment->positions);
  }
  if (status == OSSC_OK) {
    status = find(p, outputs, PLAN_ROLE_HIDDEN, PLAN_NO_LAYER, &segment->hidden);
  }
  if (status == OSSC_OK && segment == p->decode) {
    status = read_width(&p->tensors[segment->hidden], &p->hidden_size);
    if (status == OSSC_OK) status = read_router_widths(p);
  }
  if (status == OSSC_OK) status = check_rows(p, segment, segment->token_ids, 0);
  if (status == OSSC_OK) status = check_rows(p, segment, segment->positions, 0);
  if (status == OSSC_OK) status = check_rows(p, segment, segment->hidden, p->hidden_size);
  return status == OSSC_OK ? resolve_routers(p, segment) : status;
}

static ossc_status check_head(plan* p, plan_segment* segment) {
  bindings inputs = inputs_of(segment), outputs = outputs_of(segment);
  if (inputs.count != 1 || outputs.count != 1) {
    return plan_fault("a head has unknown inputs or outputs");
  }
  ossc_status status = find(p, inputs, PLAN_ROLE_HIDDEN, PLAN_NO_LAYER, &segment->hidden);
  if (status == OSSC_OK) {
    status = find(p, outputs, PLAN_ROLE_LOGITS, PLAN_NO_LAYER, &segment->logits);
  }
  if (status == OSSC_OK) status = check_rows(p, segment, segment->hidden, p->hidden_size);
  return status == OSSC_OK ? check_rows(p, segment, segment->logits, p->vocab_size) : status;
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
