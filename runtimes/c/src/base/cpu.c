#define _GNU_SOURCE /* sched_getaffinity */
#include "base/cpu.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu_quota.h"
#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#define ARCH "x86_64"
#elif defined(__aarch64__)
#include <sys/auxv.h>
#define ARCH "aarch64"
#elif defined(__arm__)
#include <sys/auxv.h>
#define ARCH "armv7l"
#elif defined(__riscv) && __riscv_xlen == 64
#include <sys/auxv.h>
#define ARCH "riscv64"
#else
#error "ossc runs on x86_64, aarch64, armv7l and riscv64"
#endif

#if defined(__x86_64__)

typedef enum cpuid_register { EAX, EBX, ECX } cpuid_register;

typedef struct cpu_feature {
  const char* name;
  uint32_t leaf, subleaf;
  cpuid_register place;
  int bit;
  uint32_t registers; /* that the operating system has to save: bits of XCR0 */
} cpu_feature;

#define YMM 0x06u
#define ZMM 0xe6u

/* Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. */
static const cpu_feature known_features[] = {
    {"pni", 1, 0, ECX, 0, 0},
    {"ssse3", 1, 0, ECX, 9, 0},
    {"fma", 1, 0, ECX, 12, YMM},
    {"cx16", 1, 0, ECX, 13, 0},
    {"sse4_1", 1, 0, ECX, 19, 0},
    {"sse4_2", 1, 0, ECX, 20, 0},
    {"movbe", 1, 0, ECX, 22, 0},
    {"popcnt", 1, 0, ECX, 23, 0},
    {"avx", 1, 0, ECX, 28, YMM},
    {"f16c", 1, 0, ECX, 29, YMM},
    {"bmi1", 7, 0, EBX, 3, 0},
    {"avx2", 7, 0, EBX, 5, YMM},
    {"bmi2", 7, 0, EBX, 8, 0},
    {"avx512f", 7, 0, EBX, 16, ZMM},
    {"avx512dq", 7, 0, EBX, 17, ZMM},
    {"avx512cd", 7, 0, EBX, 28, ZMM},
    {"sha_ni", 7, 0, EBX, 29, 0},
    {"avx512bw", 7, 0, EBX, 30, ZMM},
    {"avx512vl", 7, 0, EBX, 31, ZMM},
    {"avx512_vnni", 7, 0, ECX, 11, ZMM},
    {"avx_vnni", 7, 1, EAX, 4, YMM},
    {"lahf_lm", 0x80000001, 0, ECX, 0, 0},
    {"abm", 0x80000001, 0, ECX, 5, 0},
};

/* Whether the operating system saves the registers: OSXSAVE, then XCR0. */
static bool saves(uint32_t registers) {
  uint32_t eax, ebx, ecx, edx, low, high;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & (1u << 27)) == 0) return false;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & registers) == registers;
}

static bool has_feature(const cpu_feature* feature) {
  uint32_t values[3], edx;
  if (!__get_cpuid_count(feature->leaf, feature->subleaf, &values[EAX], &values[EBX], &values[ECX],
                         &edx)) {
    return false;
  }
  bool has = (values[feature->place] >> feature->bit & 1) != 0;
  return has && (feature->registers == 0 || saves(feature->registers));
}

#else

typedef struct cpu_feature {
  const char* name;
  int bit; /* of AT_HWCAP */
} cpu_feature;

#if defined(__aarch64__)
/* Linux, arch/arm64/include/uapi/asm/hwcap.h. */
static const cpu_feature known_features[] = {
    {"fp", 0}, {"asimd", 1}, {"sha2", 6}, {"fphp", 9}, {"asimdhp", 10}, {"asimddp", 20},
};
#elif defined(__arm__)
/* Linux, arch/arm/include/uapi/asm/hwcap.h; a 64-bit kernel gives 32-bit programs the same. */
static const cpu_feature known_features[] = {{"neon", 12}, {"vfpv3", 13}, {"vfpv4", 16}};
#else
/* Linux, arch/riscv/include/uapi/asm/hwcap.h: a bit for each extension of one letter. */
static const cpu_feature known_features[] = {
    {"a", 'a' - 'a'}, {"c", 'c' - 'a'}, {"d", 'd' - 'a'},
    {"f", 'f' - 'a'}, {"m", 'm' - 'a'}, {"v", 'v' - 'a'},
};
#endif

static bool has_feature(const cpu_feature* feature) {
  return (getauxval(AT_HWCAP) >> feature->bit & 1) != 0;
}

#endif

bool cpu_has(const char* name) {
  for (size_t i = 0; i < sizeof(known_features) / sizeof(known_features[0]); ++i) {
    if (strcmp(known_features[i].name, name) == 0) return has_feature(&known_features[i]);
  }
  return false;
}

ossc_status cpu_check(const char* arch, const json_value* features) {
  if (strcmp(arch, ARCH) != 0) {
    return fail(OSSC_ERROR_MACHINE,
                "The bundle is for %.32s and this machine is " ARCH "; compile the model for it.",
                arch);
  }
  for (const json_value* feature = features->first; feature != NULL; feature = feature->next) {
    if (!cpu_has(feature->text)) {
      return fail(OSSC_ERROR_MACHINE,
                  "The bundle needs a CPU with %.32s, which this one lacks; compile the model for "
                  "a target that this machine can run (see `ossc targets`).",
                  feature->text);
    }
  }
  return OSSC_OK;
}

int32_t cpu_count(void) {
  cpu_set_t set;
  int32_t quota = cpu_quota("");
  bool known = sched_getaffinity(0, sizeof(set), &set) == 0; /* not with over 1024 CPUs */
  long count = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  if (count < 1) return 1;
  return count < quota ? (int32_t)count : quota;
}
