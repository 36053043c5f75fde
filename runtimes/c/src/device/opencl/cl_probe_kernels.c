#include "device/opencl/cl_probe_kernels.h"

#define TEXT(value) #value
#define NUMBER(value) TEXT(value)

/* Compilers cannot leave out what is done: nobody knows that no result is the one that is written.
 *
 * A read goes through the words of a group in another order each time, so that no word can stay in
 * a register; rows is a power of two, and a stride is 1 either between neighbouring work-items or
 * between the words of one. Arithmetic begins with another value in each work-item. */
const char cl_probe_kernels[] =
    "#define ITEMS " NUMBER(CL_PROBE_ITEMS) "\n"
    "#define NEVER 12345\n"
    "#define ADD4(v) (v.s0 + v.s1 + v.s2 + v.s3)\n"
    "#define ADD16(v) (ADD4(v.lo.lo) + ADD4(v.lo.hi) + ADD4(v.hi.lo) + ADD4(v.hi.hi))\n"
    "#define READ(name, type, add)                                                         \\\n"
    "  __kernel void name(__global type* data, int repeats, int rows, int row_stride,      \\\n"
    "                     int item_stride) {                                               \\\n"
    "    __global const type* own = data + (size_t)get_group_id(0) * rows * ITEMS +        \\\n"
    "                               get_local_id(0) * item_stride;                         \\\n"
    "    type sum = (type)(0);                                                             \\\n"
    "    for (int i = 0; i < repeats; ++i) {                                               \\\n"
    "      for (int k = 0; k < rows; ++k) sum ^= own[((k + i) & (rows - 1)) * row_stride]; \\\n"
    "    }                                                                                 \\\n"
    "    if (add(sum) == NEVER) data[0] = sum;                                             \\\n"
    "  }\n"
    "#define COMPUTE(name, scalar, type, step, add)                                  \\\n"
    "  __kernel void name(__global scalar* out, int repeats, scalar a0, scalar b0) { \\\n"
    "    type a = (type)(a0), b = (type)(b0), first = (type)(get_local_id(0));       \\\n"
    "    type s0 = first, s1 = s0 + b, s2 = s1 + b, s3 = s2 + b;                     \\\n"
    "    type s4 = s3 + b, s5 = s4 + b, s6 = s5 + b, s7 = s6 + b;                    \\\n"
    "    for (int i = 0; i < repeats; ++i) {                                         \\\n"
    "      s0 = step(s0, a, b), s1 = step(s1, a, b), s2 = step(s2, a, b);            \\\n"
    "      s3 = step(s3, a, b), s4 = step(s4, a, b), s5 = step(s5, a, b);            \\\n"
    "      s6 = step(s6, a, b), s7 = step(s7, a, b);                                 \\\n"
    "    }                                                                           \\\n"
    "    type sum = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;                           \\\n"
    "    if (add(sum) == NEVER) out[0] = add(sum);                                   \\\n"
    "  }\n"
    "#define MULTIPLY_ADD(x, a, b) ((x) * (a) + (b))\n"
    "READ(probe_read4, uint4, ADD4)\n"
    "READ(probe_read16, uint16, ADD16)\n"
    "COMPUTE(probe_f32x4, float, float4, mad, ADD4)\n"
    "COMPUTE(probe_f32x16, float, float16, mad, ADD16)\n"
    "COMPUTE(probe_int32x4, uint, uint4, MULTIPLY_ADD, ADD4)\n"
    "COMPUTE(probe_int32x16, uint, uint16, MULTIPLY_ADD, ADD16)\n"
    "__kernel void probe_launch(__global int* out, int repeats) {\n"
    "  if (repeats == NEVER) out[0] = 0;\n"
    "}\n";
