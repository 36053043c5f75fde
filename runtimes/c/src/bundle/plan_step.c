#include "base/error.h"
#include "bundle/plan_reader.h"

/* A kind of step: its name, and what reads its part. NULL: reserved, and refused by its name. */
typedef struct step_kind {
  const char* name;
  ossc_status (*read)(plan_reader* r, plan_step* step, uint32_t max_tokens);
} step_kind;

/* By plan_step_kind. */

static const step_kind kinds[] = {
    {"host kernel", plan_read_host_kernel},
    {"device kernel", plan_read_device_kernel},
    {"graph", NULL},
    {"copy", NULL},
    {"fetch experts", NULL},
};

#define NUM_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What all kinds share. */
static ossc_status read_common(plan_reader* r, plan_step* step) {
  ossc_status status = plan_read_name(r, &step->label);
  if (status != OSSC_OK) return status;
  step->layer = (int32_t)plan_read_u32(r);
  step->num_tensors = plan_read_count(r, sizeof(uint32_t));
  if (r->cut) return plan_fault("it is cut");
  if (step->num_tensors - 1 >= PLAN_MAX_STEP_TENSORS) {
    return plan_fault("a step has no buffers, or too many");
  }
  for (uint32_t i = 0; i < step->num_tensors; ++i) step->tensors[i] = plan_read_u32(r);
  if (step->layer < PLAN_NO_LAYER || step->layer >= PLAN_MAX_TOKENS) {
    return plan_fault("a step is in an impossible layer");
  }
  return OSSC_OK;
}

static ossc_status check_kind(uint8_t kind) {
  if (kind < NUM_KINDS && kinds[kind].read != NULL) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "The plan has a step of the kind %s (%d), which this runtime cannot run; compile the "
              "model again.",
              kind < NUM_KINDS ? kinds[kind].name : "unknown", (int)kind);
}

ossc_status plan_read_step(plan_reader* r, plan_step* step, uint32_t max_tokens) {
  uint8_t kind = plan_read_u8(r);
  size_t length = plan_read_count(r, 1);
  if (r->cut) return plan_fault("it is cut");
  ossc_status status = check_kind(kind);
  if (status != OSSC_OK) return status;
  plan_reader body = *r; /* ends with the step */
  body.size = body.offset + length;
  step->kind = (plan_step_kind)kind;
  status = read_common(&body, step);
  if (status == OSSC_OK) status = kinds[kind].read(&body, step, max_tokens);
  if (status == OSSC_OK && body.offset != body.size) {
    status = plan_fault("a step has bytes after its end");
  }
  r->offset = body.offset;
  r->names = body.names;
  return status;
}
