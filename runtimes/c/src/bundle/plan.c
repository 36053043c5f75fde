#include "bundle/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bundle/plan_reader.h"

#define MAX_DEVICES 16
#define MAX_SPACES 255
#define MAX_SEGMENTS 16

/* The fewest bytes that one of them takes in plan.bin. */
#define MIN_DEVICE_BYTES 6
#define MIN_SPACE_BYTES 16
#define MIN_TENSOR_BYTES 12

static ossc_status read_sizes(plan_reader* r, plan* p) {
  uint32_t context = plan_read_u32(r), vocab_size = plan_read_u32(r);
  if (context - 1 >= INT32_MAX || vocab_size - 1 >= INT32_MAX) {
    return plan_fault("the context or the vocabulary is out of range");
  }
  p->context = (int32_t)context;
  p->vocab_size = (int32_t)vocab_size;
  p->num_devices = plan_read_count(r, MIN_DEVICE_BYTES);
  p->num_spaces = plan_read_count(r, MIN_SPACE_BYTES);
  p->num_tensors = plan_read_count(r, MIN_TENSOR_BYTES);
  p->num_segments = plan_read_u32(r);
  if (r->cut) return plan_fault("it is cut");
  if (p->num_devices - 1 >= MAX_DEVICES) return plan_fault("it has no device, or too many");
  if (p->num_spaces > MAX_SPACES) return plan_fault("it has too many spaces");
  return p->num_segments <= MAX_SEGMENTS ? OSSC_OK : plan_fault("it has too many segments");
}

static ossc_status read_header(plan_reader* r, plan* p) {
  if (r->size < 8 || memcmp(r->data, "OSSCPLAN", 8) != 0) {
    return plan_fault("it does not begin as a plan");
  }
  r->offset = 8;
  uint32_t version = plan_read_u32(r);
  if (version == PLAN_ABI_VERSION) return read_sizes(r, p);
  return fail(OSSC_ERROR_BUNDLE,
              "The plan has ABI version %u and this runtime runs %d; compile the model again.",
              (unsigned)version, PLAN_ABI_VERSION);
}

static ossc_status read_device(plan_reader* r, plan_device* device) {
  const char* letters = "abcdefghijklmnopqrstuvwxyz_0123456789";
  ossc_status status = plan_read_name(r, &device->kind);
  if (status != OSSC_OK) return status;
  device->index = plan_read_u32(r);
  bool is_kind = device->kind[0] >= 'a' && device->kind[0] <= 'z' &&
                 strspn(device->kind, letters) == strlen(device->kind);
  return is_kind ? plan_read_check(r) : plan_fault("a device has an impossible kind");
}

static ossc_status read_space(plan_reader* r, plan_space* space) {
  space->use = (plan_use)plan_read_u8(r);
  space->device = plan_read_u8(r);
  space->alignment_bytes = plan_read_u32(r);
  space->size_bytes = plan_read_u64(r);
  return plan_read_name(r, &space->file);
}

static ossc_status read_places(plan_reader* r, plan* p) {
  ossc_status status = OSSC_OK;
  p->devices = calloc(p->num_devices, sizeof(plan_device));
  p->spaces = calloc((size_t)p->num_spaces + 1, sizeof(plan_space));
  if (p->devices == NULL || p->spaces == NULL) return fail_out_of_memory("the plan");
  for (uint32_t i = 0; i < p->num_devices && status == OSSC_OK; ++i) {
    status = read_device(r, &p->devices[i]);
  }
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    status = read_space(r, &p->spaces[i]);
  }
  return status == OSSC_OK ? plan_check_spaces(p) : status;
}

static ossc_status read_tensor(plan_reader* r, const plan* p, plan_tensor* tensor) {
  tensor->space = plan_read_u8(r);
  tensor->role = (plan_role)plan_read_u8(r);
  tensor->dtype = (plan_dtype)plan_read_u8(r);
  tensor->num_dimensions = plan_read_u8(r);
  tensor->offset_bytes = plan_read_u64(r);
  if (tensor->num_dimensions > PLAN_MAX_DIMENSIONS) return plan_fault("a shape is too deep");
  for (int i = 0; i < tensor->num_dimensions; ++i) tensor->shape[i] = (int64_t)plan_read_u64(r);
  ossc_status status = plan_read_check(r);
  return status == OSSC_OK ? plan_check_tensor(p, tensor) : status;
}

static ossc_status read_tensors(plan_reader* r, plan* p) {
  p->tensors = calloc((size_t)p->num_tensors + 1, sizeof(plan_tensor));
  if (p->tensors == NULL) return fail_out_of_memory("the plan");
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_tensors && status == OSSC_OK; ++i) {
    status = read_tensor(r, p, &p->tensors[i]);
  }
  return status;
}

static ossc_status read_segments(plan_reader* r, plan* p) {
  p->segments = calloc((size_t)p->num_segments + 1, sizeof(plan_segment));
  if (p->segments == NULL) return fail_out_of_memory("the plan");
  for (uint32_t i = 0; i < p->num_segments; ++i) {
    ossc_status status = plan_read_segment(r, &p->segments[i], &p->num_steps);
    if (status == OSSC_OK) status = plan_check_bounds(p, &p->segments[i]);
    if (status != OSSC_OK) return status;
  }
  return r->offset == r->size ? OSSC_OK : plan_fault("it has bytes after its end");
}

ossc_status plan_parse(const void* data, size_t size, plan* plan_out) {
  plan p = {.names = malloc(size + 1)}; /* a length of two bytes is longer than a NUL */
  if (p.names == NULL) return fail_out_of_memory("the plan");
  plan_reader r = {.data = data, .size = size, .names = p.names};
  ossc_status status = read_header(&r, &p);
  if (status == OSSC_OK) status = read_places(&r, &p);
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
  free(p->spaces);
  free(p->devices);
  free(p->router_widths);
  free(p->names);
  *p = (plan){0};
}

uint64_t plan_size_bytes(const plan* p, plan_use use) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < p->num_spaces; ++i) {
    if (p->spaces[i].use == use) bytes += p->spaces[i].size_bytes;
  }
  return bytes;
}
