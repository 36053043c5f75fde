#include "measure/machine.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/answer.h"
#include "base/cpu.h"
#include "base/cpu_time.h"

#define LINE_BYTES 8192 /* the features of a CPU take 2,000 */
#define CPU0 "/sys/devices/system/cpu/cpu0/cpufreq/"

/* The first line of a file, without its end; empty when it cannot be read. */
static void read_line(const char* path, char line[LINE_BYTES]) {
  FILE* file = fopen(path, "re");
  if (file == NULL || fgets(line, LINE_BYTES, file) == NULL) line[0] = '\0';
  if (file != NULL) fclose(file);
  line[strcspn(line, "\n")] = '\0';
}

/* What follows the colon in the first line `name : value` of a file; empty without one. */
static void read_field(const char* path, const char* name, char value[LINE_BYTES]) {
  char line[LINE_BYTES];
  size_t length = strlen(name);
  FILE* file = fopen(path, "re");
  value[0] = '\0';
  while (file != NULL && value[0] == '\0' && fgets(line, LINE_BYTES, file) != NULL) {
    if (strncmp(line, name, length) != 0) continue;
    const char* colon = line + length + strspn(line + length, " \t");
    if (*colon == ':') strcpy(value, colon + 1 + strspn(colon + 1, " \t"));
  }
  if (file != NULL) fclose(file);
  value[strcspn(value, "\n")] = '\0';
}

static void print_text(FILE* answer, const char* name, const char* value) {
  fprintf(answer, "\"%s\":", name);
  answer_text(answer, value);
  fputc(',', answer);
}

static void print_bytes(FILE* answer, const char* name, const char* field) {
  char value[LINE_BYTES];
  read_field("/proc/meminfo", field, value);
  fprintf(answer, "\"%s\":%llu,", name, strtoull(value, NULL, 10) * 1024);
}

/* x86 names the model in cpuinfo, Arm boards in the device tree. */
static void print_cpu(FILE* answer) {
  char value[LINE_BYTES];
  read_field("/proc/cpuinfo", "model name", value);
  if (value[0] == '\0') read_line("/sys/firmware/devicetree/base/model", value);
  print_text(answer, "cpu_model", value);
  read_field("/proc/cpuinfo", "flags", value);
  if (value[0] == '\0') read_field("/proc/cpuinfo", "Features", value);
  print_text(answer, "cpu_features", value);
  fprintf(answer, "\"cpus\":%d,", (int)cpu_count());
}

static void print_clock(FILE* answer) {
  char value[LINE_BYTES];
  read_line(CPU0 "scaling_governor", value);
  print_text(answer, "governor", value);
  read_line(CPU0 "scaling_cur_freq", value);
  double mhz = strtod(value, NULL) / 1000;
  if (!(mhz > 0)) {
    read_field("/proc/cpuinfo", "cpu MHz", value);
    mhz = strtod(value, NULL);
  }
  fprintf(answer, "\"mhz\":%.3f,", mhz > 0 ? mhz : 0);
}

/* The chosen one of `always [madvise] never`. */
static void print_huge_pages(FILE* answer) {
  char line[LINE_BYTES];
  read_line("/sys/kernel/mm/transparent_hugepage/enabled", line);
  char* chosen = strchr(line, '[');
  if (chosen != NULL) chosen[strcspn(chosen, "]")] = '\0';
  print_text(answer, "huge_pages", chosen == NULL ? "" : chosen + 1);
}

void machine_describe(FILE* answer) {
  char line[LINE_BYTES];
  struct utsname system = {0};
  fputc('{', answer);
  print_cpu(answer);
  print_clock(answer);
  print_huge_pages(answer);
  print_bytes(answer, "memory_bytes", "MemTotal");
  print_bytes(answer, "available_bytes", "MemAvailable");
  read_line("/proc/loadavg", line);
  fprintf(answer, "\"load_average\":%.2f,", strtod(line, NULL));
  cpu_time time = cpu_time_of_process();
  fprintf(answer, "\"ran_s\":%.6f,\"waited_s\":%.6f,", time.ran_s, time.waited_s);
  uname(&system);
  fputs("\"kernel\":", answer);
  answer_text(answer, system.release);
  fputc('}', answer);
}
