/* A stand-in for NVIDIA's driver: a library that is loaded in the place of libcuda.so.1, with the
 * host's memory as the device's and the kernels of tests/synthetic/cuda_plan.py.
 *
 * It is as strict as it can be: copies and launches are done no sooner than the stream is waited
 * for, addresses have to lie in memory that was allocated, every call needs a current context, and
 * what a process leaves behind is reported at its end. Variables of the environment:
 *   FAKE_CUDA_DEVICES  architectures such as "87,90"; with an i behind it (87i), the device shares
 *                      the host's memory. "" is a driver without a device; 87 where it is not set
 *   FAKE_CUDA_DRIVER   the driver's version; 12090 where it is not set
 *   FAKE_CUDA_MEMORY   bytes of each device; 1 GiB where it is not set
 *   FAKE_CUDA_ERRORS   "cuMemAlloc_v2@2=2": the second call of the function fails with 2; several
 *                      are separated by commas. `kernel` stands for the work of a launch
 *   FAKE_CUDA_LOG      a file that gets, at the end, a line for each function that was called
 */
#define _POSIX_C_SOURCE 200809L
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cuda/cu_api.h"

#define API __attribute__((visibility("default")))
#define MAX_DEVICES 8
#define MAX_NAMES 64
#define MAX_BUFFERS 8
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { INVALID_VALUE = 1, INVALID_CONTEXT = 201, NOT_FOUND = 500, CAPTURING = 901 };

/* ---- kernels ---- */

enum { HIDDEN = 16, VOCAB = 40 };

/* One group of a launch. */
typedef struct group {
  void* const* buffers;
  int32_t rows;
  uint32_t id[3];
  const uint32_t* block;
} group;

static void embed(const group* g) {
  const int32_t* ids = g->buffers[0];
  const float* weights = g->buffers[1];
  float* embedded = g->buffers[2];
  for (uint32_t item = 0; item < g->block[0]; ++item) {
    uint32_t i = g->id[0] * g->block[0] + item;
    if (i >= (uint32_t)g->rows * HIDDEN) continue;
    embedded[i] = weights[(uint32_t)ids[i / HIDDEN] * HIDDEN + i % HIDDEN];
  }
}

static void route(const group* g) {
  const int32_t* ids = g->buffers[0];
  int32_t* indices = g->buffers[1];
  uint32_t row = g->id[1];
  for (uint32_t slot = 0; slot < g->block[0]; ++slot) {
    indices[row * 2 + slot] = (ids[row] + (int32_t)slot) % 4;
  }
}

static void store(const group* g) {
  const float* embedded = g->buffers[0];
  const int32_t* positions = g->buffers[1];
  float* cache = g->buffers[2];
  uint32_t row = g->id[2];
  for (uint32_t item = 0; item < g->block[0]; ++item) {
    uint32_t column = g->id[0] * g->block[0] + item;
    cache[(uint32_t)positions[row] * HIDDEN + column] = embedded[row * HIDDEN + column];
  }
}

static void mean(const group* g) {
  const int32_t* positions = g->buffers[0];
  const float* cache = g->buffers[1];
  float* hidden = g->buffers[2];
  uint32_t row = g->id[0], count = (uint32_t)positions[row] + 1;
  for (uint32_t column = 0; column < g->block[0]; ++column) {
    float sum = 0;
    for (uint32_t p = 0; p < count; ++p) sum += cache[p * HIDDEN + column];
    hidden[row * HIDDEN + column] = sum / (float)count;
  }
}

static void head(const group* g) {
  const float *hidden = g->buffers[0], *weights = g->buffers[1];
  float* logits = g->buffers[2];
  for (uint32_t y = 0; y < g->block[1]; ++y) {
    uint32_t row = g->id[1] * g->block[1] + y;
    if (row >= (uint32_t)g->rows) continue;
    for (uint32_t x = 0; x < g->block[0]; ++x) {
      uint32_t word = g->id[0] * g->block[0] + x;
      float sum = 0;
      for (uint32_t i = 0; i < HIDDEN; ++i) {
        sum += hidden[row * HIDDEN + i] * weights[word * HIDDEN + i];
      }
      logits[row * VOCAB + word] = sum;
    }
  }
}

struct cu_function_object {
  const char* name;
  void (*run)(const group*);
  uint32_t num_buffers;
  bool takes_rows;
};

static struct cu_function_object kernels[] = {
    {"test_embedding", embed, 3, true}, {"test_router", route, 2, false},
    {"test_store", store, 3, false},    {"test_mean", mean, 3, false},
    {"test_head", head, 3, true},
};

/* ---- what was called, and what shall fail ---- */

static struct {
  const char* name;
  long count;
} calls[MAX_NAMES];
static size_t num_calls;
static long objects; /* that were made and not destroyed */
static int32_t lost; /* the error of a kernel, which all calls give from then on */

static long count_call(const char* name) {
  size_t i = 0;
  while (i < num_calls && strcmp(calls[i].name, name) != 0) ++i;
  if (i == num_calls) calls[num_calls++].name = name;
  return ++calls[i].count;
}

/* The error that this call of a function shall have. */
static int32_t injected(const char* name, long number) {
  const char* next = getenv("FAKE_CUDA_ERRORS");
  size_t length = strlen(name);
  for (; next != NULL && *next != '\0'; next = strchr(next, ','), next += next != NULL) {
    long at;
    int error;
    if (strncmp(next, name, length) != 0) continue;
    if (sscanf(next + length, "@%ld=%d", &at, &error) == 2 && at == number) return error;
  }
  return CU_SUCCESS;
}

static int32_t begin_call(const char* name) {
  int32_t error = injected(name, count_call(name));
  return lost != CU_SUCCESS ? lost : error;
}

static _Thread_local cu_context current[4];
static _Thread_local int depth;

__attribute__((destructor)) static void report(void) {
  const char* path = getenv("FAKE_CUDA_LOG");
  FILE* file = path == NULL ? NULL : fopen(path, "w");
  if (file == NULL) return;
  for (size_t i = 0; i < num_calls; ++i) fprintf(file, "%s %ld\n", calls[i].name, calls[i].count);
  fprintf(file, "left %ld\n", objects + depth); /* and contexts that are still current */
  fclose(file);
}

/* ---- devices and contexts ---- */

struct cu_context_object {
  long retained;
};

static struct cu_context_object contexts[MAX_DEVICES];
static bool is_initialized;

static const char* describe(int32_t device) {
  const char* next = getenv("FAKE_CUDA_DEVICES");
  if (next == NULL) next = "87";
  for (int32_t i = 0; i < device && next != NULL; ++i) {
    next = strchr(next, ',');
    if (next != NULL) ++next;
  }
  return next == NULL || *next == '\0' ? NULL : next;
}

static int32_t architecture(int32_t device) { return (int32_t)strtol(describe(device), NULL, 10); }

static bool is_integrated(int32_t device) {
  char* end;
  strtol(describe(device), &end, 10);
  return *end == 'i';
}

static size_t number(const char* variable, size_t otherwise) {
  const char* value = getenv(variable);
  return value == NULL ? otherwise : (size_t)strtoull(value, NULL, 10);
}

static int32_t current_device(void) { return (int32_t)(current[depth - 1] - contexts); }

static int32_t begin_work(const char* name) {
  int32_t error = begin_call(name);
  if (error == CU_SUCCESS && (depth == 0 || current[depth - 1]->retained == 0)) {
    return INVALID_CONTEXT;
  }
  return error;
}

#define CALL(function)                               \
  do {                                               \
    int32_t call_error = begin_call(#function);      \
    if (call_error != CU_SUCCESS) return call_error; \
  } while (0)
#define WORK(function)                               \
  do {                                               \
    int32_t call_error = begin_work(#function);      \
    if (call_error != CU_SUCCESS) return call_error; \
  } while (0)

API int32_t cuInit(uint32_t flags) {
  CALL(cuInit);
  is_initialized = flags == 0;
  return describe(0) == NULL ? CU_ERROR_NO_DEVICE : CU_SUCCESS;
}

API int32_t cuDriverGetVersion(int32_t* version) {
  *version = (int32_t)number("FAKE_CUDA_DRIVER", 12090);
  return CU_SUCCESS;
}

API int32_t cuGetErrorName(int32_t error, const char** name) {
  static const struct {
    int32_t error;
    const char* name;
  } names[] = {
      {1, "CUDA_ERROR_INVALID_VALUE"},
      {2, "CUDA_ERROR_OUT_OF_MEMORY"},
      {3, "CUDA_ERROR_NOT_INITIALIZED"},
      {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
      {201, "CUDA_ERROR_INVALID_CONTEXT"},
      {218, "CUDA_ERROR_INVALID_PTX"},
      {500, "CUDA_ERROR_NOT_FOUND"},
      {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {719, "CUDA_ERROR_LAUNCH_FAILED"},
      {801, "CUDA_ERROR_NOT_SUPPORTED"},
      {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
  };
  for (size_t i = 0; i < COUNT_OF(names); ++i) {
    *name = names[i].name;
    if (names[i].error == error) return CU_SUCCESS;
  }
  return INVALID_VALUE;
}

API int32_t cuDeviceGetCount(int32_t* count) {
  CALL(cuDeviceGetCount);
  if (!is_initialized) return 3;
  for (*count = 0; describe(*count) != NULL;) ++*count;
  return CU_SUCCESS;
}

API int32_t cuDeviceGet(cu_device* device, int32_t index) {
  CALL(cuDeviceGet);
  *device = index;
  return index >= 0 && index < MAX_DEVICES && describe(index) != NULL ? CU_SUCCESS : INVALID_VALUE;
}

API int32_t cuDeviceGetName(char* name, int32_t length, cu_device device) {
  snprintf(name, (size_t)length, "Fake GPU %c  ", 'A' + device);
  return CU_SUCCESS;
}

API int32_t cuDeviceGetAttribute(int32_t* value, int32_t attribute, cu_device device) {
  const int32_t values[] = {
      [CU_MAX_THREADS_PER_BLOCK] = 1024,
      [CU_MAX_BLOCK_DIM_X] = 1024,
      [CU_MAX_BLOCK_DIM_X + 1] = 1024,
      [CU_MAX_BLOCK_DIM_X + 2] = 64,
      [CU_MAX_GRID_DIM_X] = INT32_MAX,
      [CU_MAX_GRID_DIM_X + 1] = 65535,
      [CU_MAX_GRID_DIM_X + 2] = 65535,
      [CU_INTEGRATED] = is_integrated(device),
      [CU_COMPUTE_MODE] = architecture(device) == 1 ? CU_COMPUTE_MODE_PROHIBITED : 0,
      [CU_COMPUTE_CAPABILITY_MAJOR] = architecture(device) / 10,
      [CU_COMPUTE_CAPABILITY_MINOR] = architecture(device) % 10,
      [CU_HOST_REGISTER_SUPPORTED] = 1,
      [CU_READ_ONLY_HOST_REGISTER_SUPPORTED] = 1,
  };
  CALL(cuDeviceGetAttribute);
  *value = attribute < (int32_t)COUNT_OF(values) ? values[attribute] : 0;
  return CU_SUCCESS;
}

API int32_t cuDeviceTotalMem_v2(size_t* size, cu_device device) {
  (void)device;
  *size = number("FAKE_CUDA_MEMORY", (size_t)1 << 30);
  return CU_SUCCESS;
}

API int32_t cuDevicePrimaryCtxRetain(cu_context* context, cu_device device) {
  CALL(cuDevicePrimaryCtxRetain);
  *context = &contexts[device];
  contexts[device].retained += 1;
  objects += 1;
  return CU_SUCCESS;
}

API int32_t cuDevicePrimaryCtxRelease_v2(cu_device device) {
  count_call("cuDevicePrimaryCtxRelease_v2");
  if (contexts[device].retained == 0) return INVALID_CONTEXT;
  contexts[device].retained -= 1;
  objects -= 1;
  return CU_SUCCESS;
}

API int32_t cuCtxPushCurrent_v2(cu_context context) {
  CALL(cuCtxPushCurrent_v2);
  if (context == NULL || depth == (int)COUNT_OF(current)) return INVALID_CONTEXT;
  current[depth++] = context;
  return CU_SUCCESS;
}

API int32_t cuCtxPopCurrent_v2(cu_context* context) {
  if (depth == 0) return INVALID_CONTEXT;
  *context = current[--depth];
  return CU_SUCCESS;
}

/* ---- modules ---- */

struct cu_module_object {
  int32_t architecture;
};

static int32_t refuse(uint32_t count, const int32_t* options, void** values, const char* reason,
                      int32_t error) {
  if (count == 2 && options[0] == CU_JIT_ERROR_LOG_BUFFER) {
    snprintf(values[0], (size_t)(uintptr_t)values[1], "%s", reason);
  }
  return error;
}

/* What a file of code asks for: machine code is for one architecture, and PTX for all later ones.
 */
static int32_t check_code(const char* code, uint32_t count, const int32_t* options, void** values) {
  int32_t has = architecture(current_device()), needs = 0;
  if (sscanf(code, "fake cubin sm_%d", &needs) == 1) {
    return needs == has ? CU_SUCCESS : CU_ERROR_NO_BINARY_FOR_GPU;
  }
  const char* line = strstr(code, ".target sm_");
  if (line == NULL) return CU_ERROR_INVALID_IMAGE;
  sscanf(line, ".target sm_%d", &needs);
  if (number("FAKE_CUDA_DRIVER", 12090) < 12090) return CU_ERROR_UNSUPPORTED_PTX_VERSION;
  if (needs > has) return CU_ERROR_NO_BINARY_FOR_GPU;
  if (strstr(code, "nonsense") == NULL) return CU_SUCCESS;
  return refuse(count, options, values, "ptxas fatal : \n  Parsing error near 'nonsense'",
                CU_ERROR_INVALID_PTX);
}

API int32_t cuModuleLoadDataEx(cu_module* module, const void* code, uint32_t count,
                               const int32_t* options, void** values) {
  WORK(cuModuleLoadDataEx);
  int32_t error = check_code(code, count, options, values);
  if (error != CU_SUCCESS) return error;
  *module = calloc(1, sizeof(**module));
  objects += 1;
  return CU_SUCCESS;
}

API int32_t cuModuleUnload(cu_module module) {
  count_call("cuModuleUnload");
  free(module);
  objects -= 1;
  return CU_SUCCESS;
}

API int32_t cuModuleGetFunction(cu_function* function, cu_module module, const char* name) {
  (void)module;
  WORK(cuModuleGetFunction);
  for (size_t i = 0; i < COUNT_OF(kernels); ++i) {
    *function = &kernels[i];
    if (strcmp(kernels[i].name, name) == 0) return CU_SUCCESS;
  }
  return NOT_FOUND;
}

API int32_t cuFuncGetAttribute(int32_t* value, int32_t attribute, cu_function function) {
  (void)function;
  WORK(cuFuncGetAttribute);
  *value = attribute == CU_FUNCTION_MAX_THREADS_PER_BLOCK ? 128 : 0;
  return CU_SUCCESS;
}

/* ---- memory ---- */

/* Bytes that the device reaches. */
typedef struct range {
  char* begin;
  size_t size;
  bool is_registered; /* pages of the host's own */
  struct range* next;
} range;

static range* ranges;
static size_t used_bytes;

static range** find_range(const void* begin) {
  range** place = &ranges;
  while (*place != NULL && (*place)->begin != begin) place = &(*place)->next;
  return place;
}

static bool is_reachable(cu_address address, size_t size) {
  for (const range* r = ranges; r != NULL; r = r->next) {
    uintptr_t begin = (uintptr_t)r->begin;
    if (address >= begin && address + size <= begin + r->size) return true;
  }
  return false;
}

static void add_range(void* begin, size_t size, bool is_registered) {
  range* r = malloc(sizeof(range));
  *r = (range){begin, size, is_registered, ranges};
  ranges = r;
  objects += 1;
}

static void remove_range(range** place) {
  range* r = *place;
  *place = r->next;
  free(r);
  objects -= 1;
}

API int32_t cuMemGetInfo_v2(size_t* free_bytes, size_t* total_bytes) {
  cuDeviceTotalMem_v2(total_bytes, 0);
  *free_bytes = *total_bytes - used_bytes;
  return CU_SUCCESS;
}

API int32_t cuMemAlloc_v2(cu_address* address, size_t size) {
  size_t free_bytes, total_bytes;
  WORK(cuMemAlloc_v2);
  cuMemGetInfo_v2(&free_bytes, &total_bytes);
  if (size == 0) return INVALID_VALUE;
  if (size > free_bytes) return CU_ERROR_OUT_OF_MEMORY;
  char* data = malloc(size);
  memset(data, 0xff, size); /* NaN: what is not written is not to be read */
  add_range(data, size, false);
  used_bytes += size;
  *address = (uintptr_t)data;
  return CU_SUCCESS;
}

API int32_t cuMemFree_v2(cu_address address) {
  char* data = (char*)(uintptr_t)address;
  count_call("cuMemFree_v2");
  range** place = find_range(data);
  if (*place == NULL || (*place)->is_registered) return INVALID_VALUE;
  used_bytes -= (*place)->size;
  remove_range(place);
  free(data);
  return CU_SUCCESS;
}

API int32_t cuMemAllocHost_v2(void** data, size_t size) {
  WORK(cuMemAllocHost_v2);
  *data = malloc(size);
  objects += 1;
  return CU_SUCCESS;
}

API int32_t cuMemFreeHost(void* data) {
  free(data);
  objects -= 1;
  return CU_SUCCESS;
}

API int32_t cuMemHostRegister_v2(void* data, size_t size, uint32_t flags) {
  WORK(cuMemHostRegister_v2);
  if ((uintptr_t)data % 4096 != 0 || size % 4096 != 0) return INVALID_VALUE;
  if (flags != (CU_HOST_REGISTER_DEVICE_MAP | CU_HOST_REGISTER_READ_ONLY)) return INVALID_VALUE;
  add_range(data, size, true);
  return CU_SUCCESS;
}

API int32_t cuMemHostGetDevicePointer_v2(cu_address* address, void* data, uint32_t flags) {
  WORK(cuMemHostGetDevicePointer_v2);
  *address = (uintptr_t)data;
  return *find_range(data) == NULL || flags != 0 ? INVALID_VALUE : CU_SUCCESS;
}

API int32_t cuMemHostUnregister(void* data) {
  range** place = find_range(data);
  count_call("cuMemHostUnregister");
  if (*place == NULL || !(*place)->is_registered) return INVALID_VALUE;
  remove_range(place);
  return CU_SUCCESS;
}

/* ---- streams: what they are to do, later ---- */

struct cu_event_object {
  float ms;
};

typedef enum op_kind { COPY, FILL, LAUNCH, RECORD } op_kind;

typedef struct op {
  op_kind kind;
  void* to;
  const void* from;
  size_t size;
  uint8_t byte;
  cu_event event;
  cu_function function;
  uint32_t grid[3], block[3];
  void* buffers[MAX_BUFFERS];
  int32_t rows;
} op;

typedef struct op_list {
  op* all;
  size_t count;
} op_list;

struct cu_graph_object {
  op_list ops;
};

struct cu_graph_exec_object {
  op_list ops;
};

struct cu_stream_object {
  op_list ops;
  cu_graph captured; /* NULL: what is enqueued is to be done */
  float ms;
};

static void append(op_list* list, const op* each) {
  list->all = realloc(list->all, (list->count + 1) * sizeof(op));
  list->all[list->count++] = *each;
}

static int32_t enqueue(cu_stream stream, const op* each) {
  append(stream->captured == NULL ? &stream->ops : &stream->captured->ops, each);
  return CU_SUCCESS;
}

static void launch(const op* o) {
  group g = {.buffers = o->buffers, .rows = o->rows, .block = o->block};
  for (g.id[2] = 0; g.id[2] < o->grid[2]; ++g.id[2]) {
    for (g.id[1] = 0; g.id[1] < o->grid[1]; ++g.id[1]) {
      for (g.id[0] = 0; g.id[0] < o->grid[0]; ++g.id[0]) o->function->run(&g);
    }
  }
}

static void execute(cu_stream stream, const op* o) {
  stream->ms += 0.25f;
  if (o->kind == COPY) memcpy(o->to, o->from, o->size);
  if (o->kind == FILL) memset(o->to, o->byte, o->size);
  if (o->kind == RECORD) o->event->ms = stream->ms;
  if (o->kind != LAUNCH) return;
  lost = injected("kernel", count_call("kernel"));
  if (lost == CU_SUCCESS) launch(o);
}

API int32_t cuStreamCreate(cu_stream* stream, uint32_t flags) {
  WORK(cuStreamCreate);
  if (flags != CU_STREAM_NON_BLOCKING) return INVALID_VALUE;
  *stream = calloc(1, sizeof(**stream));
  objects += 1;
  return CU_SUCCESS;
}

API int32_t cuStreamSynchronize(cu_stream stream) {
  WORK(cuStreamSynchronize);
  if (stream->captured != NULL) return CAPTURING;
  for (size_t i = 0; i < stream->ops.count && lost == CU_SUCCESS; ++i) {
    execute(stream, &stream->ops.all[i]);
  }
  stream->ops.count = 0;
  return lost;
}

API int32_t cuStreamDestroy_v2(cu_stream stream) {
  count_call("cuStreamDestroy_v2");
  free(stream->ops.all);
  free(stream);
  objects -= 1;
  return CU_SUCCESS;
}

API int32_t cuMemcpyHtoDAsync_v2(cu_address to, const void* from, size_t size, cu_stream stream) {
  WORK(cuMemcpyHtoDAsync_v2);
  if (!is_reachable(to, size)) return INVALID_VALUE;
  return enqueue(stream,
                 &(op){.kind = COPY, .to = (void*)(uintptr_t)to, .from = from, .size = size});
}

API int32_t cuMemcpyDtoHAsync_v2(void* to, cu_address from, size_t size, cu_stream stream) {
  WORK(cuMemcpyDtoHAsync_v2);
  if (!is_reachable(from, size)) return INVALID_VALUE;
  return enqueue(stream,
                 &(op){.kind = COPY, .to = to, .from = (void*)(uintptr_t)from, .size = size});
}

API int32_t cuMemcpyDtoDAsync_v2(cu_address to, cu_address from, size_t size, cu_stream stream) {
  WORK(cuMemcpyDtoDAsync_v2);
  if (!is_reachable(to, size) || !is_reachable(from, size)) return INVALID_VALUE;
  if (to < from + size && from < to + size) return INVALID_VALUE;
  return enqueue(
      stream,
      &(op){
          .kind = COPY, .to = (void*)(uintptr_t)to, .from = (void*)(uintptr_t)from, .size = size});
}

API int32_t cuMemsetD8Async(cu_address to, uint8_t byte, size_t size, cu_stream stream) {
  WORK(cuMemsetD8Async);
  if (!is_reachable(to, size)) return INVALID_VALUE;
  return enqueue(stream,
                 &(op){.kind = FILL, .to = (void*)(uintptr_t)to, .byte = byte, .size = size});
}

API int32_t cuLaunchKernel(cu_function function, uint32_t grid_x, uint32_t grid_y, uint32_t grid_z,
                           uint32_t block_x, uint32_t block_y, uint32_t block_z,
                           uint32_t shared_bytes, cu_stream stream, void** arguments,
                           void** extra) {
  op o = {.kind = LAUNCH,
          .function = function,
          .grid = {grid_x, grid_y, grid_z},
          .block = {block_x, block_y, block_z}};
  WORK(cuLaunchKernel);
  if (shared_bytes != 0 || extra != NULL) return INVALID_VALUE;
  for (uint32_t i = 0; i < function->num_buffers; ++i) {
    cu_address address = *(cu_address*)arguments[i];
    if (!is_reachable(address, 1)) return INVALID_VALUE;
    o.buffers[i] = (void*)(uintptr_t)address;
  }
  if (function->takes_rows) o.rows = *(int32_t*)arguments[function->num_buffers];
  return enqueue(stream, &o);
}

/* ---- graphs ---- */

API int32_t cuStreamBeginCapture_v2(cu_stream stream, int32_t mode) {
  WORK(cuStreamBeginCapture_v2);
  if (stream->captured != NULL || mode != CU_CAPTURE_THREAD_LOCAL) return INVALID_VALUE;
  stream->captured = calloc(1, sizeof(*stream->captured));
  objects += 1;
  return CU_SUCCESS;
}

/* After an error, the capture has ended and there is no graph. */
API int32_t cuStreamEndCapture(cu_stream stream, cu_graph* graph) {
  int32_t error = begin_work("cuStreamEndCapture");
  cu_graph captured = stream->captured;
  stream->captured = NULL;
  *graph = error == CU_SUCCESS ? captured : NULL;
  if (error == CU_SUCCESS) return CU_SUCCESS;
  free(captured->ops.all);
  free(captured);
  objects -= 1;
  return error;
}

API int32_t cuGraphInstantiateWithFlags(cu_graph_exec* exec, cu_graph graph, uint64_t flags) {
  WORK(cuGraphInstantiateWithFlags);
  if (flags != 0) return INVALID_VALUE;
  *exec = calloc(1, sizeof(**exec));
  for (size_t i = 0; i < graph->ops.count; ++i) append(&(*exec)->ops, &graph->ops.all[i]);
  objects += 1;
  return CU_SUCCESS;
}

API int32_t cuGraphLaunch(cu_graph_exec exec, cu_stream stream) {
  WORK(cuGraphLaunch);
  for (size_t i = 0; i < exec->ops.count; ++i) enqueue(stream, &exec->ops.all[i]);
  return CU_SUCCESS;
}

API int32_t cuGraphDestroy(cu_graph graph) {
  count_call("cuGraphDestroy");
  free(graph->ops.all);
  free(graph);
  objects -= 1;
  return CU_SUCCESS;
}

API int32_t cuGraphExecDestroy(cu_graph_exec exec) {
  count_call("cuGraphExecDestroy");
  free(exec->ops.all);
  free(exec);
  objects -= 1;
  return CU_SUCCESS;
}

/* ---- events ---- */

API int32_t cuEventCreate(cu_event* event, uint32_t flags) {
  WORK(cuEventCreate);
  if (flags != CU_EVENT_DEFAULT) return INVALID_VALUE;
  *event = calloc(1, sizeof(**event));
  objects += 1;
  return CU_SUCCESS;
}

API int32_t cuEventRecord(cu_event event, cu_stream stream) {
  WORK(cuEventRecord);
  return enqueue(stream, &(op){.kind = RECORD, .event = event});
}

API int32_t cuEventElapsedTime(float* ms, cu_event begin, cu_event end) {
  WORK(cuEventElapsedTime);
  *ms = end->ms - begin->ms;
  return CU_SUCCESS;
}

API int32_t cuEventDestroy_v2(cu_event event) {
  count_call("cuEventDestroy_v2");
  free(event);
  objects -= 1;
  return CU_SUCCESS;
}
