/* The types of OpenCL C that our kernels use. zig's clang has the language and its functions built
   in, but lacks its own copy of this header. */
#ifndef OSSC_OPENCL_C_BASE_H
#define OSSC_OPENCL_C_BASE_H

#define __opencl_c_named_address_space_builtins 1

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef __INTPTR_TYPE__ intptr_t;
typedef __UINTPTR_TYPE__ uintptr_t;

#define OSSC_VECTOR(type, lanes) typedef type type##lanes __attribute__((ext_vector_type(lanes)))
#define OSSC_VECTORS(type) \
  OSSC_VECTOR(type, 2);    \
  OSSC_VECTOR(type, 3);    \
  OSSC_VECTOR(type, 4);    \
  OSSC_VECTOR(type, 8);    \
  OSSC_VECTOR(type, 16)
OSSC_VECTORS(char);
OSSC_VECTORS(uchar);
OSSC_VECTORS(short);
OSSC_VECTORS(ushort);
OSSC_VECTORS(int);
OSSC_VECTORS(uint);
OSSC_VECTORS(long);
OSSC_VECTORS(ulong);
OSSC_VECTORS(float);

typedef uint cl_mem_fence_flags;
#define CLK_LOCAL_MEM_FENCE 1
#define CLK_GLOBAL_MEM_FENCE 2

typedef enum memory_scope {
  memory_scope_work_item,
  memory_scope_work_group,
  memory_scope_device,
  memory_scope_all_svm_devices,
  memory_scope_sub_group
} memory_scope;

typedef enum memory_order {
  memory_order_relaxed,
  memory_order_acquire = 2,
  memory_order_release,
  memory_order_acq_rel,
  memory_order_seq_cst
} memory_order;

#define as_int(x) __builtin_astype((x), int)
#define as_uint(x) __builtin_astype((x), uint)
#define as_float(x) __builtin_astype((x), float)
#define as_int16(x) __builtin_astype((x), int16)
#define as_uint16(x) __builtin_astype((x), uint16)
#define as_float16(x) __builtin_astype((x), float16)

#define INFINITY (__builtin_inff())
#define NAN (__builtin_nanf(""))

#endif
