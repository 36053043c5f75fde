/* Kernels for the tests, with the calling convention of TVM and without TVM: a model whose hidden
 * state is the mean of the embeddings so far. tests/synthetic/tiny_plan.py is its plan. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "device/cpu/kernel_table.h"

#define CURSED_TOKEN_ID 39

/* As generated objects declare them. */
extern void* (*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int);
extern int (*__TVMBackendFreeWorkspace)(int, int, void*);
extern int (*__TVMBackendParallelLaunch)(int (*)(int, void*, void*), void*, int);
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t num_parts);

static int raise_error(const char* message) {
  const char* parts[] = {message, NULL, " in a\ntest"};
  TVMFFIErrorSetRaisedFromCStrParts("ValueError", parts, 3);
  return -1;
}

static DLTensor* tensor(const TVMFFIAny* args, int i) { return args[i].v_ptr; }

static int is_range(const TVMFFIAny* args, int32_t num_args, int32_t num_tensors) {
  for (int i = 0; i < num_args; ++i) {
    int32_t expected = i < num_tensors ? TVM_FFI_DL_TENSOR_PTR : TVM_FFI_INT;
    if (args[i].type_index != expected) return 0;
  }
  return num_args == num_tensors + 2;
}

/* ids i64 [n], weights f32 [V, H], out f32 [n, H]; a task is a token. */
static int embedding(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  (void)self, (void)result;
  if (!is_range(args, num_args, 3)) return raise_error("embedding has other arguments");
  const int64_t* ids = tensor(args, 0)->data;
  size_t columns = (size_t)tensor(args, 1)->shape[1];
  const float* weights = tensor(args, 1)->data;
  float* out = tensor(args, 2)->data;
  for (int64_t t = args[3].v_int64; t < args[4].v_int64; ++t) {
    if (ids[t] == CURSED_TOKEN_ID) return raise_error("a cursed token");
    memcpy(out + (size_t)t * columns, weights + (size_t)ids[t] * columns, columns * sizeof(float));
  }
  return 0;
}

/* ids i64 [n], indices i32 [n, k]; called once. */
static int router(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  (void)self, (void)result;
  if (num_args != 2) return raise_error("router has other arguments");
  const int64_t* ids = tensor(args, 0)->data;
  int32_t* indices = tensor(args, 1)->data;
  int64_t k = tensor(args, 1)->shape[1];
  for (int64_t t = 0; t < tensor(args, 0)->shape[0]; ++t) {
    for (int64_t slot = 0; slot < k; ++slot) indices[k * t + slot] = (int32_t)((ids[t] + slot) % 4);
  }
  return 0;
}

/* embedded f32 [n, H], positions i64 [n], cache f32 [context, H]; a task is a token. */
static int store(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  (void)self, (void)result;
  if (!is_range(args, num_args, 3)) return raise_error("store has other arguments");
  size_t columns = (size_t)tensor(args, 0)->shape[1];
  const float* embedded = tensor(args, 0)->data;
  const int64_t* positions = tensor(args, 1)->data;
  float* cache = tensor(args, 2)->data;
  for (int64_t t = args[3].v_int64; t < args[4].v_int64; ++t) {
    memcpy(cache + (size_t)positions[t] * columns, embedded + (size_t)t * columns,
           columns * sizeof(float));
  }
  return 0;
}

typedef struct mean_call {
  const int64_t* positions;
  const float* cache;
  float* hidden;
  int64_t rows, columns, column;
} mean_call;

static int mean_of_column(int task, void* env, void* data) {
  (void)task, (void)env;
  const mean_call* c = data;
  for (int64_t t = 0; t < c->rows; ++t) {
    float sum = 0;
    for (int64_t p = 0; p <= c->positions[t]; ++p) sum += c->cache[p * c->columns + c->column];
    c->hidden[t * c->columns + c->column] = sum / (float)(c->positions[t] + 1);
  }
  return 0;
}

/* positions i64 [n], cache f32 [context, H], hidden f32 [n, H]; a task is a column. Goes through
 * the hooks for parallel regions and workspaces, as generated code may. */
static int mean(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  (void)self, (void)result;
  if (!is_range(args, num_args, 3)) return raise_error("mean has other arguments");
  for (int64_t column = args[3].v_int64; column < args[4].v_int64; ++column) {
    mean_call* scratch = __TVMBackendAllocWorkspace(DL_CPU, 0, sizeof(mean_call), DL_FLOAT, 32);
    void* other = __TVMBackendAllocWorkspace(DL_CPU, 0, sizeof(mean_call), DL_FLOAT, 32);
    if (scratch == NULL || other == NULL) return -1;
    if ((uintptr_t)scratch % 64 != 0 || (uintptr_t)other % 64 != 0) return raise_error("unaligned");
    if (scratch == other) return raise_error("one workspace twice");
    memset(other, 0xff, sizeof(mean_call));
    *scratch =
        (mean_call){tensor(args, 0)->data,     tensor(args, 1)->data,     tensor(args, 2)->data,
                    tensor(args, 2)->shape[0], tensor(args, 1)->shape[1], column};
    int status = __TVMBackendParallelLaunch(mean_of_column, scratch, 0);
    __TVMBackendFreeWorkspace(DL_CPU, 0, other);
    __TVMBackendFreeWorkspace(DL_CPU, 0, scratch);
    if (status != 0) return status;
  }
  return 0;
}

/* hidden f32 [m, H], weights f32 [V, H], logits f32 [m, V]; a task is a word. */
static int head(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  (void)self, (void)result;
  if (!is_range(args, num_args, 3)) return raise_error("head has other arguments");
  const DLTensor *hidden = tensor(args, 0), *weights = tensor(args, 1), *logits = tensor(args, 2);
  int64_t columns = hidden->shape[1], vocab_size = weights->shape[0];
  for (int64_t word = args[3].v_int64; word < args[4].v_int64; ++word) {
    for (int64_t row = 0; row < hidden->shape[0]; ++row) {
      float sum = 0;
      for (int64_t h = 0; h < columns; ++h) {
        float x = ((const float*)hidden->data)[row * columns + h];
        sum += x * ((const float*)weights->data)[word * columns + h];
      }
      ((float*)logits->data)[row * vocab_size + word] = sum;
    }
  }
  return 0;
}

/* As for special instructions that every CPU has; wrong when a test asks for it. */
static int special_head(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result) {
  int status = head(self, args, num_args, result);
  if (getenv("OSSC_TEST_WRONG_KERNEL") != NULL) ((float*)tensor(args, 2)->data)[0] += 1;
  return status;
}

static const char* const no_features[] = {NULL};
static const ossc_instruction_set special = {"special", no_features};
static const char* const future_features[] = {"feature_of_the_future", NULL};
static const ossc_instruction_set future = {"future", future_features};

enum { VOCAB = 40, HIDDEN = 16, CONTEXT = 24, N = -1 };

static const ossc_kernel_buffer numbers = {PLAN_I64, 1, {N}}; /* ids or positions */
static const ossc_kernel_buffer rows = {PLAN_F32, 2, {N, HIDDEN}};
static const ossc_kernel_buffer words = {PLAN_F32, 2, {VOCAB, HIDDEN}};
static const ossc_kernel_buffer cache = {PLAN_F32, 2, {CONTEXT, HIDDEN}};
static const ossc_kernel_buffer chosen = {PLAN_I32, 2, {N, -2}}; /* by any number a row */
static const ossc_kernel_buffer logits = {PLAN_F32, 2, {N, VOCAB}};

#define TAKES(ranged, ...)                                                   \
  (&(const ossc_kernel_signature){                                           \
      ranged, sizeof((const void*[]){__VA_ARGS__}) / sizeof(void*),          \
      (const ossc_kernel_buffer* const[]){__VA_ARGS__}})

const ossc_kernel ossc_kernels[] = {
    {"test_embedding", embedding, NULL, TAKES(true, &numbers, &words, &rows)},
    {"test_head", NULL, &future, TAKES(true, &rows, &words, &logits)},
    {"test_head", special_head, &special, TAKES(true, &rows, &words, &logits)},
    {"test_head", head, NULL, TAKES(true, &rows, &words, &logits)},
    {"test_mean", mean, NULL, TAKES(true, &numbers, &cache, &rows)},
    {"test_router", router, NULL, TAKES(false, &numbers, &chosen)},
    {"test_store", store, NULL, TAKES(true, &rows, &numbers, &cache)},
};
const size_t ossc_kernel_count = sizeof(ossc_kernels) / sizeof(ossc_kernels[0]);
