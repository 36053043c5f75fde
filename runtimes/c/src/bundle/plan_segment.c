#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bundle/plan_reader.h"

/* The fewest bytes that one of them takes in plan.bin. */
#define BINDING_BYTES 8
#define MIN_STEP_BYTES 15

static ossc_status read_bindings(plan_reader* r, plan_segment* segment) {
  size_t count = (size_t)segment->num_inputs + segment->num_outputs;
  segment->bindings = calloc(count + 1, sizeof(plan_binding));
  if (segment->bindings == NULL) return fail_out_of_memory("the plan");
  for (size_t i = 0; i < count; ++i) {
    int32_t layer = (int32_t)plan_read_u32(r);
    segment->bindings[i] = (plan_binding){layer, plan_read_u32(r)};
    if (layer < PLAN_NO_LAYER || layer >= PLAN_MAX_TOKENS) {
      return plan_fault("an input or output is in an impossible layer");
    }
  }
  return plan_read_check(r);
}

static ossc_status read_steps(plan_reader* r, plan_segment* segment, uint32_t* num_steps) {
  segment->steps = calloc((size_t)segment->num_steps + 1, sizeof(plan_step));
  if (segment->steps == NULL) return fail_out_of_memory("the plan");
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    segment->steps[i].number = (*num_steps)++;
    status = plan_read_step(r, &segment->steps[i], segment->max_tokens);
  }
  return status;
}

static ossc_status read_kind(plan_reader* r, plan_segment_kind* kind_out) {
  static const char* const names[] = {"decode", "prefill", "head"};
  const char* name;
  ossc_status status = plan_read_name(r, &name);
  if (status != OSSC_OK) return status;
  for (int kind = PLAN_DECODE; kind <= PLAN_HEAD; ++kind) {
    if (strcmp(name, names[kind]) == 0) {
      *kind_out = (plan_segment_kind)kind;
      return OSSC_OK;
    }
  }
  return plan_fault("it has an unknown segment");
}

ossc_status plan_read_segment(plan_reader* r, plan_segment* segment, uint32_t* num_steps) {
  ossc_status status = read_kind(r, &segment->kind);
  if (status != OSSC_OK) return status;
  segment->max_tokens = plan_read_u32(r);
  segment->num_inputs = plan_read_count(r, BINDING_BYTES);
  segment->num_outputs = plan_read_count(r, BINDING_BYTES);
  segment->num_steps = plan_read_count(r, MIN_STEP_BYTES);
  if (r->cut) return plan_fault("it is cut");
  if (segment->max_tokens - 1 >= PLAN_MAX_TOKENS) {
    return plan_fault("a segment takes no tokens or too many");
  }
  status = read_bindings(r, segment);
  return status == OSSC_OK ? read_steps(r, segment, num_steps) : status;
}
