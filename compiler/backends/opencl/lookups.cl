/* The values of 4-bit codes, the lowest bits of sixteen words, where OpenCL C is compiled for a CPU.
   AVX-512 has them from a table in one instruction. AVX2 would take six for each half, which is slower
   than arithmetic: `weights/mxfp4.py` and `weights/int4_g32.py` say what that is. */
#ifdef __AVX512F__
#define OSSC_TABLE(codes, ...) __builtin_ia32_permvarsf512((float16)(__VA_ARGS__), as_int16(codes))
#endif

/* E2M1, twice its value. */
static inline float16 ossc_values_of_e2m1(uint16 codes) {
#ifdef OSSC_TABLE
  return OSSC_TABLE(codes, 0, 1, 2, 3, 4, 6, 8, 12, -0.0f, -1, -2, -3, -4, -6, -8, -12);
#else
  float16 raised = as_float16(((codes << 22) & 0x1C00000u) + 0x3F800000u);
  float16 lowered = raised * 2 - 2;
  uint16 magnitude = as_uint16(lowered < raised ? lowered : raised);
  return as_float16(magnitude | (codes << 28 & 0x80000000u));
#endif
}

/* Two's complement. */
static inline float16 ossc_values_of_int4(uint16 codes) {
#ifdef OSSC_TABLE
  return OSSC_TABLE(codes, 0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
#else
  return __builtin_convertvector(as_int16(codes << 28) >> 28, float16);
#endif
}

