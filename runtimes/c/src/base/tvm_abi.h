/* The calling convention of functions that TVM generates (tvm_ffi c_api.h, DLPack), and the hooks
 * that they need at run time. */
#ifndef OSSC_TVM_ABI_H_
#define OSSC_TVM_ABI_H_

#include <stdint.h>

typedef struct DLDevice {
  int32_t device_type;
  int32_t device_id;
} DLDevice;

#define DL_CPU 1

typedef struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} DLDataType;

typedef enum DLDataTypeCode {
  DL_INT = 0,
  DL_UINT = 1,
  DL_FLOAT = 2,
  DL_BFLOAT = 4,
  DL_BOOL = 6
} DLDataTypeCode;

typedef struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides; /* NULL: compact, row-major */
  uint64_t byte_offset;
} DLTensor;

typedef struct TVMFFIAny {
  int32_t type_index;
  uint32_t zero_padding;
  union {
    int64_t v_int64;
    void* v_ptr;
  };
} TVMFFIAny;

#define TVM_FFI_INT 1
#define TVM_FFI_DL_TENSOR_PTR 7

/* 0, or the error was handed to TVMFFIErrorSetRaisedFromCStrParts. */
typedef int (*tvm_function)(void* self, const TVMFFIAny* args, int32_t num_args, TVMFFIAny* result);

/* Scratch memory of one thread for TVMBackendAllocWorkspace; blocks are kept for the next call. */
#define WORKSPACE_MAX_BLOCKS 16

typedef struct workspace_block {
  void* data;
  uint64_t size_bytes;
  int used;
} workspace_block;

typedef struct workspace {
  workspace_block blocks[WORKSPACE_MAX_BLOCKS];
} workspace;

/* Kernels on this thread take their scratch memory from here; NULL: from nowhere. */
void workspace_bind(workspace* bound);

void workspace_free(workspace* released);

#endif /* OSSC_TVM_ABI_H_ */
