#define _DEFAULT_SOURCE /* sysconf */
#include "device/cuda/cu_space.h"

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define UPLOAD_BYTES ((size_t)64 << 20)

static const char* what_is(const plan_space* space) {
  if (space->use == PLAN_WEIGHTS) return space->file;
  return space->use == PLAN_STATE ? "the KV cache of a session" : "the scratch of a session";
}

static bool is_shared(const cu_target* t, ossc_weights_mode mode) {
  return mode == OSSC_WEIGHTS_MAPPED && t->info.shares_memory;
}

ossc_status cu_space_check(const cu_target* target, const plan* p) {
  uint64_t needed_bytes = 0, has_bytes = target->info.memory_bytes;
  for (uint32_t i = 0; i < p->num_spaces; ++i) needed_bytes += p->spaces[i].size_bytes;
  if (needed_bytes <= has_bytes) return OSSC_OK;
  return fail(OSSC_ERROR_MEMORY,
              "The CUDA device %.64s has %.1f MB of memory and the model takes %.1f MB there; "
              "compile it with a smaller --context or fewer bits, or choose another device with "
              "--device.",
              target->info.name, (double)has_bytes / 1e6, (double)needed_bytes / 1e6);
}

static ossc_status fail_allocation(const cu_target* t, const plan_space* space) {
  size_t free_bytes = 0, total_bytes = 0;
  t->cu->cuMemGetInfo_v2(&free_bytes, &total_bytes);
  return fail(OSSC_ERROR_MEMORY,
              "The CUDA device %.64s has %.1f MB of memory free and %s takes %.1f MB; close what "
              "else uses it, choose another device with --device, or compile the model with a "
              "smaller --context.",
              t->info.name, (double)free_bytes / 1e6, what_is(space),
              (double)space->size_bytes / 1e6);
}

ossc_status cu_space_allocate(const cu_target* target, const plan_space* space,
                              cu_space* space_out) {
  cu_address address = 0;
  if (space->size_bytes == 0) return OSSC_OK;
  int32_t error = target->cu->cuMemAlloc_v2(&address, space->size_bytes);
  if (error == CU_ERROR_OUT_OF_MEMORY) return fail_allocation(target, space);
  if (error == CU_SUCCESS) *space_out = (cu_space){.address = address};
  space_out->size_bytes = space->size_bytes;
  return cu_target_check(target, error, "allocate memory");
}

/* Pieces keep small what the driver stages. */
static int32_t copy_pieces(const cu_api* cu, cu_stream stream, cu_address to, const memory* file) {
  int32_t error = CU_SUCCESS;
  for (size_t at = 0; at < file->size_bytes && error == CU_SUCCESS; at += UPLOAD_BYTES) {
    size_t left = file->size_bytes - at, size = left < UPLOAD_BYTES ? left : UPLOAD_BYTES;
    error = cu->cuMemcpyHtoDAsync_v2(to + at, (const char*)file->data + at, size, stream);
    if (error == CU_SUCCESS) error = cu->cuStreamSynchronize(stream);
  }
  return error;
}

static ossc_status upload(const cu_target* t, cu_address to, const memory* file) {
  cu_stream stream;
  int32_t error = t->cu->cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING);
  if (error == CU_SUCCESS) {
    error = copy_pieces(t->cu, stream, to, file);
    t->cu->cuStreamDestroy_v2(stream);
  }
  return cu_target_check(t, error, "take the weights");
}

static size_t whole_pages(size_t size_bytes) {
  size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
  return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

/* Whether the driver lets the device read the pages of a file. */
static bool share(const cu_target* t, memory* file, cu_space* loaded) {
  uint32_t flags = CU_HOST_REGISTER_DEVICE_MAP;
  if (cu_target_attribute(t, CU_READ_ONLY_HOST_REGISTER_SUPPORTED)) {
    flags |= CU_HOST_REGISTER_READ_ONLY;
  }
  size_t size_bytes = whole_pages(file->size_bytes); /* the last page is mapped whole */
  int32_t error = t->cu->cuMemHostRegister_v2(file->data, size_bytes, flags);
  if (error != CU_SUCCESS) return false;
  error = t->cu->cuMemHostGetDevicePointer_v2(&loaded->address, file->data, 0);
  if (error != CU_SUCCESS) {
    t->cu->cuMemHostUnregister(file->data);
    loaded->address = 0;
    return false;
  }
  loaded->host = *file;
  loaded->size_bytes = file->size_bytes;
  *file = (memory){0};
  return true;
}

/* A copy on the device; the pages are given back. */
static ossc_status copy_file(const cu_target* t, const plan_space* space, const char* directory,
                             const memory* file, cu_space* loaded) {
  ossc_status status = cu_space_allocate(t, space, loaded);
  if (status == OSSC_OK) status = upload(t, loaded->address, file);
  if (status == OSSC_OK && memory_is_cut(file)) status = memory_fail_cut(directory, space->file);
  return status;
}

ossc_status cu_space_load(const cu_target* target, const plan_space* space, const char* directory,
                          ossc_weights_mode mode, cu_space* space_out) {
  char path[FILE_PATH_BYTES];
  memory file = {0};
  ossc_status status = file_path(directory, space->file, path);
  if (status == OSSC_OK) status = memory_load(path, space->size_bytes, OSSC_WEIGHTS_MAPPED, &file);
  if (status != OSSC_OK || space->size_bytes == 0) return status;
  bool shared = is_shared(target, mode) && share(target, &file, space_out);
  if (!shared) status = copy_file(target, space, directory, &file, space_out);
  memory_free(&file);
  return status;
}

void cu_space_free(const cu_target* target, cu_space* space) {
  bool shared = space->host.data != NULL;
  if (space->address != 0 && shared) target->cu->cuMemHostUnregister(space->host.data);
  if (space->address != 0 && !shared) target->cu->cuMemFree_v2(space->address);
  memory_free(&space->host);
  *space = (cu_space){0};
}
