#include "device/opencl/cl_space.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "device/opencl/cl_error.h"

#define PAGE_BYTES 4096 /* Intel's driver shares whole pages only */
#define UPLOAD_BYTES ((size_t)64 << 20)
#define FILL_BYTES 16 /* written at once */

static uint64_t read_limit(const cl_target* t, uint32_t name) {
  uint64_t value = 0; /* little-endian, so that a uint32_t fills its lower half */
  t->cl->clGetDeviceInfo(t->device, name, sizeof(value), &value, NULL);
  return value;
}

static size_t round_up(uint64_t size_bytes, size_t multiple) {
  return (size_t)((size_bytes + multiple - 1) / multiple * multiple);
}

bool cl_space_is_shared(const cl_target* target, const plan_space* space, ossc_weights_mode mode) {
  return space->use == PLAN_WEIGHTS && mode == OSSC_WEIGHTS_MAPPED && target->info.shares_memory;
}

static const char* what_is(const plan_space* space) {
  if (space->use == PLAN_WEIGHTS) return space->file;
  return space->use == PLAN_STATE ? "the KV cache of a session" : "the scratch of a session";
}

static ossc_status check_size(const cl_target* t, const plan_space* space) {
  uint64_t most = read_limit(t, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  if (space->size_bytes <= most) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The OpenCL device %.64s allocates at most %.1f MB at once and %s takes %.1f MB; %s, "
              "or choose another device with --device.",
              t->info.name, (double)most / 1e6, what_is(space), (double)space->size_bytes / 1e6,
              space->use == PLAN_WEIGHTS
                  ? "compile a smaller model or one with fewer bits"
                  : "compile the model with a smaller --context or --prefill-chunk");
}

static ossc_status check_alignment(const cl_target* t, const plan_space* space) {
  uint64_t bytes = read_limit(t, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
  if (bytes == 0 || space->alignment_bytes % bytes == 0) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "The OpenCL device %.64s needs buffers at multiples of %llu bytes and the plan has "
              "them at multiples of %u; choose another device with --device.",
              t->info.name, (unsigned long long)bytes, (unsigned)space->alignment_bytes);
}

static ossc_status check_total(const cl_target* t, uint64_t needed_bytes) {
  uint64_t has_bytes = t->info.memory_bytes;
  if (needed_bytes <= has_bytes) return OSSC_OK;
  return fail(OSSC_ERROR_MEMORY,
              "The OpenCL device %.64s has %.1f MB of memory and the model takes %.1f MB there; "
              "compile it with a smaller --context or fewer bits, or choose another device with "
              "--device.",
              t->info.name, (double)has_bytes / 1e6, (double)needed_bytes / 1e6);
}

ossc_status cl_space_check(const cl_target* target, const plan* p, ossc_weights_mode mode) {
  uint64_t needed_bytes = 0;
  ossc_status status = OSSC_OK;
  for (uint32_t i = 0; i < p->num_spaces && status == OSSC_OK; ++i) {
    const plan_space* space = &p->spaces[i];
    if (!cl_space_is_shared(target, space, mode)) needed_bytes += space->size_bytes;
    status = check_size(target, space);
    if (status == OSSC_OK) status = check_alignment(target, space);
  }
  return status == OSSC_OK ? check_total(target, needed_bytes) : status;
}

static ossc_status create(const cl_target* t, const char* what, uint64_t flags, void* host,
                          cl_space* space) {
  int32_t error;
  space->buffer = t->cl->clCreateBuffer(t->context, flags, space->size_bytes, host, &error);
  return cl_check(error, t->info.name, what);
}

/* Pieces keep small what the driver stages. */
static int32_t write_pieces(const cl_api* cl, cl_queue queue, const cl_space* space,
                            const memory* file) {
  int32_t error = CL_SUCCESS;
  for (size_t at = 0; at < file->size_bytes && error == CL_SUCCESS; at += UPLOAD_BYTES) {
    size_t left = file->size_bytes - at, size = left < UPLOAD_BYTES ? left : UPLOAD_BYTES;
    const char* data = (const char*)file->data + at;
    error = cl->clEnqueueWriteBuffer(queue, space->buffer, true, at, size, data, 0, NULL, NULL);
  }
  return error;
}

static ossc_status upload(const cl_target* t, const cl_space* space, const memory* file) {
  int32_t error;
  cl_queue queue = t->cl->clCreateCommandQueue(t->context, t->device, 0, &error);
  if (error == CL_SUCCESS) {
    error = write_pieces(t->cl, queue, space, file);
    t->cl->clReleaseCommandQueue(queue);
  }
  return cl_check(error, t->info.name, "take the weights");
}

/* A copy on the device; the pages are given back. */
static ossc_status copy_file(const cl_target* t, const plan_space* space, const char* directory,
                             cl_space* loaded) {
  memory file = loaded->host;
  loaded->host = (memory){0};
  ossc_status status = create(t, "hold the weights", CL_MEM_READ_ONLY, NULL, loaded);
  if (status == OSSC_OK) status = upload(t, loaded, &file);
  if (status == OSSC_OK && memory_is_cut(&file)) status = memory_fail_cut(directory, space->file);
  memory_free(&file);
  return status;
}

static ossc_status share_file(const cl_target* t, cl_space* loaded) {
  return create(t, "read the weights where they are", CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR,
                loaded->host.data, loaded);
}

static ossc_status load(const cl_target* t, const plan_space* space, const char* directory,
                        bool shared, cl_space* loaded) {
  char path[FILE_PATH_BYTES];
  ossc_status status = file_path(directory, space->file, path);
  if (status == OSSC_OK) {
    status = memory_load(path, space->size_bytes, OSSC_WEIGHTS_MAPPED, &loaded->host);
  }
  if (status != OSSC_OK || space->size_bytes == 0) return status;
  loaded->size_bytes = round_up(space->size_bytes, PAGE_BYTES); /* the last page is mapped whole */
  if (shared && share_file(t, loaded) == OSSC_OK) return OSSC_OK;
  return copy_file(t, space, directory, loaded); /* some drivers share no read-only pages */
}

ossc_status cl_space_load(const cl_target* target, const plan_space* space, const char* directory,
                          ossc_weights_mode mode, cl_space* space_out) {
  bool shared = cl_space_is_shared(target, space, mode);
  ossc_status status = load(target, space, directory, shared, space_out);
  if (status != OSSC_OK) cl_space_free(target, space_out);
  return status;
}

ossc_status cl_space_allocate(const cl_target* target, const plan_space* space,
                              cl_space* space_out) {
  space_out->size_bytes = round_up(space->size_bytes, space->alignment_bytes);
  if (space->size_bytes == 0) return OSSC_OK;
  return create(target, "hold a session", CL_MEM_READ_WRITE, NULL, space_out);
}

int32_t cl_space_fill(const cl_api* cl, cl_queue queue, const cl_space* space, uint8_t byte) {
  uint8_t pattern[FILL_BYTES];
  if (space->buffer == NULL) return CL_SUCCESS;
  memset(pattern, byte, sizeof(pattern));
  return cl->clEnqueueFillBuffer(queue, space->buffer, pattern, sizeof(pattern), 0,
                                 space->size_bytes, 0, NULL, NULL);
}

ossc_status cl_space_slice(const cl_target* target, const cl_space* space, size_t offset_bytes,
                           size_t size_bytes, cl_memory* slice_out) {
  const cl_region region = {offset_bytes, size_bytes};
  int32_t error;
  *slice_out = target->cl->clCreateSubBuffer(space->buffer, 0, CL_BUFFER_CREATE_TYPE_REGION,
                                             &region, &error);
  return cl_check(error, target->info.name, "divide its memory into buffers");
}

void cl_space_free(const cl_target* target, cl_space* space) {
  if (space->buffer != NULL) target->cl->clReleaseMemObject(space->buffer);
  memory_free(&space->host);
  *space = (cl_space){0};
}
