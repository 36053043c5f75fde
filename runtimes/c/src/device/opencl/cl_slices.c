#include "device/opencl/cl_slices.h"

#include <stdlib.h>

#include "base/error.h"

/* Bytes of a tensor when it has so many rows; the plan was checked, so they are few enough. */
static size_t count_bytes(const plan_tensor* tensor, uint32_t rows) {
  size_t bytes = plan_dtype_bytes(tensor->dtype);
  for (int i = 0; i < tensor->num_dimensions; ++i) {
    bytes *= tensor->shape[i] == PLAN_N_TOKENS ? rows : (size_t)tensor->shape[i];
  }
  return bytes;
}

static void count_use(const plan* p, const plan_segment* segment, uint32_t tensor, size_t* bytes) {
  size_t size = count_bytes(&p->tensors[tensor], segment->max_tokens);
  if (size > bytes[tensor]) bytes[tensor] = size;
}

/* What each tensor takes in the segment that needs the most of it. */
static void count_segment(const plan* p, const plan_segment* segment, size_t* bytes) {
  for (uint32_t i = 0; i < segment->num_inputs + segment->num_outputs; ++i) {
    count_use(p, segment, segment->bindings[i].tensor, bytes);
  }
  for (uint32_t i = 0; i < segment->num_steps; ++i) {
    const plan_step* step = &segment->steps[i];
    for (uint32_t j = 0; j < step->num_tensors; ++j) count_use(p, segment, step->tensors[j], bytes);
  }
}

ossc_status cl_slices_make(const cl_target* target, const plan* p, const cl_space* spaces,
                           cl_memory** slices_out) {
  ossc_status status = OSSC_OK;
  size_t* bytes = calloc((size_t)p->num_tensors + 1, sizeof(size_t));
  *slices_out = calloc((size_t)p->num_tensors + 1, sizeof(cl_memory));
  if (bytes == NULL || *slices_out == NULL) status = fail_out_of_memory("the buffers of a plan");
  for (uint32_t i = 0; i < p->num_segments && status == OSSC_OK; ++i) {
    count_segment(p, &p->segments[i], bytes);
  }
  for (uint32_t i = 0; i < p->num_tensors && status == OSSC_OK; ++i) {
    const plan_tensor* tensor = &p->tensors[i];
    const cl_space* space = &spaces[tensor->space];
    if (space->buffer == NULL || bytes[i] == 0) continue;
    status = cl_space_slice(target, space, tensor->offset_bytes, bytes[i], &(*slices_out)[i]);
  }
  free(bytes);
  return status;
}

void cl_slices_free(const cl_target* target, const plan* p, cl_memory* slices) {
  for (uint32_t i = 0; slices != NULL && i < p->num_tensors; ++i) {
    if (slices[i] != NULL) target->cl->clReleaseMemObject(slices[i]);
  }
  free(slices);
}
