#include "device/cuda/cu_staging.h"

#include <string.h>

#define STAGING_BYTES ((size_t)1 << 16)

int32_t cu_staging_open(const cu_target* target, cu_staging* staging_out) {
  void* data = NULL;
  int32_t error = target->cu->cuMemAllocHost_v2(&data, STAGING_BYTES);
  *staging_out = (cu_staging){error == CU_SUCCESS ? data : NULL, 0};
  return error;
}

void cu_staging_close(const cu_target* target, cu_staging* staging) {
  if (staging->data != NULL) target->cu->cuMemFreeHost(staging->data);
  *staging = (cu_staging){0};
}

static int32_t write_piece(const cu_target* t, cu_staging* staging, cu_stream stream, cu_address to,
                           const char* data, size_t size) {
  int32_t error = CU_SUCCESS;
  if (size > STAGING_BYTES - staging->used) {
    error = t->cu->cuStreamSynchronize(stream);
    staging->used = 0;
  }
  if (error != CU_SUCCESS) return error;
  char* staged = staging->data + staging->used;
  memcpy(staged, data, size);
  staging->used += size;
  return t->cu->cuMemcpyHtoDAsync_v2(to, staged, size, stream);
}

int32_t cu_staging_write(const cu_target* target, cu_staging* staging, cu_stream stream,
                         cu_address to, const void* data, size_t size) {
  int32_t error = CU_SUCCESS;
  for (size_t at = 0; at < size && error == CU_SUCCESS; at += STAGING_BYTES) {
    size_t piece = size - at < STAGING_BYTES ? size - at : STAGING_BYTES;
    error = write_piece(target, staging, stream, to + at, (const char*)data + at, piece);
  }
  return error;
}
