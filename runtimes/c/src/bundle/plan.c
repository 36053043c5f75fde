#include "bundle/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"

#define MAX_SEGMENTS 16
#define MAX_SPACE_BYTES ((uint64_t)1 << 48)
#define MAX_NAME_BYTES 255

/* The fewest bytes that one of them takes in plan.bin. */
#define MIN_TENSOR_BYTES 11
#define MIN_BINDING_BYTES 6
#define MIN_STEP_BYTES 21

typedef struct reader {
  const uint8_t* data;
  size_t size;
  size_t offset;
  bool cut;    /* a field went beyond the end; all after it read as 0 */
  char* names; /* where the next name goes */
} reader;

ossc_status plan_fault(const char* fault) {
  return fail(OSSC_ERROR_BUNDLE, "The execution plan is not valid: %s; compile the model again.",
              fault);
}

static uint64_t read_unsigned(reader* r, size_t bytes) {
  if (r->size - r->offset < bytes) {
    r->cut = true;
    r->offset = r->size;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= (uint64_t)r->data[r->offset++] << (8 * i);
  return value;
}

static uint8_t read_u8(reader* r) { return (uint8_t)read_unsigned(r, 1); }
static uint32_t read_u32(reader* r) { return (uint32_t)read_unsigned(r, 4); }
static uint64_t read_u64(reader* r) { return read_unsigned(r, 8); }

/* A count of things that take at least so many bytes each: 0 when they cannot all follow. */
static uint32_t read_count(reader* r, size_t min_bytes) {
  uint32_t count = read_u32(r);
  if (count <= (r->size - r->offset) / min_bytes) return count;
  r->cut = true;
  return 0;
}

static bool is_printable(const char* text, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f) return false;
  }
  return utf8_is_valid(text, length);
}

static ossc_status read_name(reader* r, const char** name_out) {
  size_t length = (size_t)read_unsigned(r, 2);
  if (length > MAX_NAME_BYTES) return plan_fault("a name is too long");
  if (r->cut || r->size - r->offset < length) return plan_fault("it is cut");
  *name_out = r->names;
  memcpy(r->names, r->data + r->offset, length);
  r->names[length] = '\0';
  r->names += length + 1;
  r->offset += length;
  return is_printable(*name_out, length) ? OSSC_OK : plan_fault("a name cannot be printed");
}

static ossc_status read_header(reader* r, plan* p) {
  if (r->size < 8 || memcmp(r->data, "OSSCPLAN", 8) != 0) {
    return plan_fault("it does not begin as a plan");
  }
  r->offset = 8;
  uint32_t version = read_u32(r);
  if (version != PLAN_ABI_VERSION) {
    return fail(OSSC_ERROR_BUNDLE,
                "The plan has ABI version %u and this runtime runs %d; compile the model again.",
                (unsigned)version, PLAN_ABI_VERSION);
  }
  for (int i = 0; i < PLAN_NUM_SPACES; ++i) {
    p->space_bytes[i] = read_u64(r);
    if (p->space_bytes[i] > MAX_SPACE_BYTES) return plan_fault("a space is too large");
  }
  uint32_t context = read_u32(r), vocab_size = read_u32(r);
  if (context - 1 >= INT32_MAX || vocab_size - 1 >= INT32_MAX) {
    return plan_fault("the context or the vocabulary is out of range");
  }
  p->context = (int32_t)context;
  p->vocab_size = (int32_t)vocab_size;
  p->num_tensors = read_count(r, MIN_TENSOR_BYTES);
  p->num_segments = read_u32(r);
  if (p->num_segments > MAX_SEGMENTS) return plan_fault("it has too many segments");
  return r->cut ? plan_fault("it is cut") : OSSC_OK;
}

static ossc_status read_tensor(reader* r, plan_tensor* tensor) {
  tensor->space = (plan_space)read_u8(r);
  tensor->dtype = (plan_dtype)read_u8(r);
  tensor->num_dimensions = read_u8(r);
  tensor->offset_bytes = read_u64(r);
  if (tensor->num_dimensions > PLAN_MAX_DIMENSIONS) return plan_fault("a shape is too deep");
  for (int i = 0; i < tensor->num_dimensions; ++i) tensor->shape[i] = (int64_t)read_u64(r);
  if (r->cut) return plan_fault("it is cut");
  return plan_check_tensor(tensor);
}

static ossc_status read_tensors(reader* r, plan* p) {
  p->tensors = calloc((size_t)p->num_tensors + 1, sizeof(plan_tensor));
  if (p->tensors == NULL) return fail_out_of_memory("the plan");
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_tensors && status == OSSC_OK; ++i) {
    status = read_tensor(r, &p->tensors[i]);
  }
  return status;
}

static ossc_status read_bindings(reader* r, plan_segment* segment) {
  size_t count = (size_t)segment->num_inputs + segment->num_outputs;
  segment->bindings = calloc(count + 1, sizeof(plan_binding));
  if (segment->bindings == NULL) return fail_out_of_memory("the plan");
  for (size_t i = 0; i < count; ++i) {
    ossc_status status = read_name(r, &segment->bindings[i].name);
    if (status != OSSC_OK) return status;
    segment->bindings[i].tensor = read_u32(r);
  }
  return r->cut ? plan_fault("it is cut") : OSSC_OK;
}

static ossc_status read_step(reader* r, plan_step* step, uint32_t max_tokens) {
  ossc_status status = read_name(r, &step->kernel);
  if (status == OSSC_OK) status = read_name(r, &step->label);
  if (status != OSSC_OK) return status;
  step->layer = (int32_t)read_u32(r);
  uint8_t ranged = read_u8(r);
  step->ranged = ranged == 1;
  step->tasks_fixed = read_u32(r);
  step->tasks_per_token = read_u32(r);
  step->num_tensors = read_count(r, sizeof(uint32_t));
  if (ranged > 1 || step->num_tensors - 1 >= PLAN_MAX_STEP_TENSORS) {
    return plan_fault("a step is neither ranged nor not, or has too few or too many buffers");
  }
  for (uint32_t i = 0; i < step->num_tensors; ++i) step->tensors[i] = read_u32(r);
  if (r->cut) return plan_fault("it is cut");
  return plan_check_step(step, max_tokens);
}

static ossc_status read_steps(reader* r, plan_segment* segment) {
  segment->steps = calloc((size_t)segment->num_steps + 1, sizeof(plan_step));
  if (segment->steps == NULL) return fail_out_of_memory("the plan");
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    status = read_step(r, &segment->steps[i], segment->max_tokens);
  }
  return status;
}

static ossc_status read_kind(reader* r, plan_segment_kind* kind_out) {
  static const char* const names[] = {"decode", "prefill", "head"};
  const char* name;
  ossc_status status = read_name(r, &name);
  if (status != OSSC_OK) return status;
  for (int kind = PLAN_DECODE; kind <= PLAN_HEAD; ++kind) {
    if (strcmp(name, names[kind]) == 0) {
      *kind_out = (plan_segment_kind)kind;
      return OSSC_OK;
    }
  }
  return plan_fault("it has an unknown segment");
}

static ossc_status read_segment(reader* r, plan_segment* segment) {
  ossc_status status = read_kind(r, &segment->kind);
  if (status != OSSC_OK) return status;
  segment->max_tokens = read_u32(r);
  segment->num_inputs = read_count(r, MIN_BINDING_BYTES);
  segment->num_outputs = read_count(r, MIN_BINDING_BYTES);
  segment->num_steps = read_count(r, MIN_STEP_BYTES);
  if (r->cut) return plan_fault("it is cut");
  if (segment->max_tokens - 1 >= PLAN_MAX_TOKENS) {
    return plan_fault("a segment takes no tokens or too many");
  }
  status = read_bindings(r, segment);
  return status == OSSC_OK ? read_steps(r, segment) : status;
}

static ossc_status read_segments(reader* r, plan* p) {
  p->segments = calloc((size_t)p->num_segments + 1, sizeof(plan_segment));
  if (p->segments == NULL) return fail_out_of_memory("the plan");
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    ossc_status status = read_segment(r, &p->segments[i]);
    if (status == OSSC_OK) status = plan_check_bounds(p, &p->segments[i]);
    if (status != OSSC_OK) return status;
  }
  return r->offset == r->size ? OSSC_OK : plan_fault("it has bytes after its end");
}

ossc_status plan_parse(const void* data, size_t size, plan* plan_out) {
  plan p = {.names = malloc(size + 1)}; /* a length of two bytes is longer than a NUL */
  if (p.names == NULL) return fail_out_of_memory("the plan");
  reader r = {.data = data, .size = size, .names = p.names};
  ossc_status status = read_header(&r, &p);
  if (status == OSSC_OK) status = read_tensors(&r, &p);
  if (status == OSSC_OK) status = read_segments(&r, &p);
  if (status == OSSC_OK) status = plan_check_interface(&p);
  if (status != OSSC_OK) {
    plan_free(&p);
    return status;
  }
  *plan_out = p;
  return OSSC_OK;
}

void plan_free(plan* p) {
  for (uint32_t i = 0; p->segments != NULL && i < p->num_segments; ++i) {
    free(p->segments[i].bindings);
    free(p->segments[i].steps);
    free(p->segments[i].router_indices);
  }
  free(p->segments);
  free(p->tensors);
  free(p->names);
  *p = (plan){0};
}
