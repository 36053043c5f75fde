#include "base/tvm_abi.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define WORKSPACE_ALIGNMENT_BYTES 64
/* More than any system gives: also with 32 bits, where more would wrap. */
#define WORKSPACE_MAX_BYTES ((uint64_t)1 << (sizeof(size_t) == 4 ? 31 : 47))
#define MESSAGE_BYTES 512

static _Thread_local workspace* current_workspace;

typedef struct TVMParallelGroupEnv {
  void* sync_handle;
  int32_t num_task;
} TVMParallelGroupEnv;

typedef int (*FTVMParallelLambda)(int task_id, TVMParallelGroupEnv* env, void* data);

typedef int (*parallel_launch)(FTVMParallelLambda lambda, void* data, int num_task);
typedef void* (*alloc_workspace)(int device_type, int device_id, uint64_t nbytes, int dtype_code,
                                 int dtype_bits);
typedef int (*free_workspace)(int device_type, int device_id, void* data);

void workspace_bind(workspace* bound) { current_workspace = bound; }

void workspace_free(workspace* released) {
  for (int i = 0; i < WORKSPACE_MAX_BLOCKS; ++i) free(released->blocks[i].data);
  *released = (workspace){0};
}

/* The smallest unused block that is large enough, else any unused one, else NULL. */
static workspace_block* find_block(workspace* w, uint64_t size_bytes) {
  workspace_block *fitting = NULL, *other = NULL;
  for (int i = 0; i < WORKSPACE_MAX_BLOCKS; ++i) {
    workspace_block* block = &w->blocks[i];
    if (block->used) continue;
    bool fits = block->size_bytes >= size_bytes;
    if (fits && (fitting == NULL || block->size_bytes < fitting->size_bytes)) fitting = block;
    if (!fits && (other == NULL || block->size_bytes < other->size_bytes)) other = block;
  }
  return fitting != NULL ? fitting : other;
}

static void* alloc(int device_type, int device_id, uint64_t nbytes, int dtype_code,
                   int dtype_bits) {
  (void)device_type, (void)device_id, (void)dtype_code, (void)dtype_bits;
  if (nbytes > WORKSPACE_MAX_BYTES) nbytes = WORKSPACE_MAX_BYTES;
  uint64_t size_bytes =
      (nbytes + WORKSPACE_ALIGNMENT_BYTES) / WORKSPACE_ALIGNMENT_BYTES * WORKSPACE_ALIGNMENT_BYTES;
  workspace_block* block =
      current_workspace == NULL ? NULL : find_block(current_workspace, size_bytes);
  if (block != NULL && block->size_bytes < size_bytes) {
    free(block->data);
    block->data = aligned_alloc(WORKSPACE_ALIGNMENT_BYTES, (size_t)size_bytes);
    block->size_bytes = block->data == NULL ? 0 : size_bytes;
  }
  if (block == NULL || block->data == NULL) {
    fail_out_of_memory("the scratch memory of a kernel");
    return NULL;
  }
  block->used = 1;
  return block->data;
}

static int release(int device_type, int device_id, void* data) {
  (void)device_type, (void)device_id;
  for (int i = 0; current_workspace != NULL && i < WORKSPACE_MAX_BLOCKS; ++i) {
    workspace_block* block = &current_workspace->blocks[i];
    if (block->data == data) block->used = 0;
  }
  return 0;
}

/* Runs a parallel region of a generated function on this thread alone: the plan's steps are split
 * over the threads by the executor. */
static int launch(FTVMParallelLambda lambda, void* data, int num_task) {
  (void)num_task;
  TVMParallelGroupEnv env = {NULL, 1};
  return lambda(0, &env, data);
}

/* Generated objects define these weakly and call through them. */
extern parallel_launch __TVMBackendParallelLaunch;
extern alloc_workspace __TVMBackendAllocWorkspace;
extern free_workspace __TVMBackendFreeWorkspace;
parallel_launch __TVMBackendParallelLaunch = launch;
alloc_workspace __TVMBackendAllocWorkspace = alloc;
free_workspace __TVMBackendFreeWorkspace = release;

/* Generated functions report their errors here; the message becomes ossc_last_error(), in a line.
 */
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t num_parts);

void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t num_parts) {
  char message[MESSAGE_BYTES] = "";
  for (int32_t i = 0; i < num_parts; ++i) {
    if (parts[i] != NULL) strncat(message, parts[i], sizeof(message) - strlen(message) - 1);
  }
  for (char* c = message; *c != '\0'; ++c) {
    if (*c == '\n') *c = ' ';
  }
  fail(OSSC_ERROR_KERNEL, "%s: %s", kind, message);
}
