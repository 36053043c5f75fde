#define _GNU_SOURCE /* sched_getaffinity */
#include "cpu.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#define ARCH "x86_64"
#elif defined(__aarch64__)
#include <sys/auxv.h>
#define ARCH "aarch64"
#else
#error "ossc runs on x86_64 and aarch64"
#endif

#if defined(__x86_64__)

typedef enum cpuid_register { EBX, ECX } cpuid_register;

typedef struct cpu_feature {
  const char* name;
  uint32_t leaf;
  cpuid_register place;
  int bit;
  bool needs_ymm; /* registers that the operating system has to save */
} cpu_feature;

/* Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E. */
static const cpu_feature known_features[] = {
    {"pni", 1, ECX, 0, false},          {"ssse3", 1, ECX, 9, false},
    {"fma", 1, ECX, 12, true},          {"cx16", 1, ECX, 13, false},
    {"sse4_1", 1, ECX, 19, false},      {"sse4_2", 1, ECX, 20, false},
    {"movbe", 1, ECX, 22, false},       {"popcnt", 1, ECX, 23, false},
    {"avx", 1, ECX, 28, true},          {"f16c", 1, ECX, 29, true},
    {"bmi1", 7, EBX, 3, false},         {"avx2", 7, EBX, 5, true},
    {"bmi2", 7, EBX, 8, false},         {"lahf_lm", 0x80000001, ECX, 0, false},
    {"abm", 0x80000001, ECX, 5, false},
};

/* Whether the operating system saves the YMM registers: OSXSAVE, then XCR0. */
static bool saves_ymm(void) {
  uint32_t eax, ebx, ecx, edx, low, high;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & (1u << 27)) == 0) return false;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & 6) == 6;
}

static bool has_feature(const cpu_feature* feature) {
  uint32_t eax, ebx, ecx, edx;
  if (!__get_cpuid_count(feature->leaf, 0, &eax, &ebx, &ecx, &edx)) return false;
  uint32_t value = feature->place == EBX ? ebx : ecx;
  return (value >> feature->bit & 1) != 0 && (!feature->needs_ymm || saves_ymm());
}

#else

typedef struct cpu_feature {
  const char* name;
  int bit; /* of AT_HWCAP */
} cpu_feature;

/* Linux, arch/arm64/include/uapi/asm/hwcap.h. */
static const cpu_feature known_features[] = {
    {"fp", 0}, {"asimd", 1}, {"fphp", 9}, {"asimdhp", 10}, {"asimddp", 20},
};

static bool has_feature(const cpu_feature* feature) {
  return (getauxval(AT_HWCAP) >> feature->bit & 1) != 0;
}

#endif

static bool has_named_feature(const char* name) {
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
    if (!has_named_feature(feature->text)) {
      return fail(OSSC_ERROR_MACHINE,
                  "The bundle needs a CPU with %.32s, which this one lacks; compile the model for "
                  "a target that this machine can run (see `ossc targets`).",
                  feature->text);
    }
  }
  return OSSC_OK;
}

/* CPUs that the control group's quota pays for, rounded up; INT32_MAX without a quota. */
static int32_t quota_cpus(void) {
  double quota, period;
  FILE* file = fopen("/sys/fs/cgroup/cpu.max", "re");
  if (file == NULL) return INT32_MAX;
  int fields = fscanf(file, "%lf %lf", &quota, &period); /* "max" is not a number */
  fclose(file);
  if (fields != 2 || !(period > 0) || !(quota > 0) || quota / period > 65535) return INT32_MAX;
  int32_t whole = (int32_t)(quota / period);
  return whole < quota / period ? whole + 1 : whole;
}

int32_t cpu_count(void) {
  cpu_set_t set;
  int32_t quota = quota_cpus();
  bool known = sched_getaffinity(0, sizeof(set), &set) == 0; /* not with over 1024 CPUs */
  long count = known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  if (count < 1) return 1;
  return count < quota ? (int32_t)count : quota;
}
