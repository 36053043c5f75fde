#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* The number of `name:   123 kB` in bytes, when the line is that. */
static void read_kilobytes(const char* line, const char* name, uint64_t* bytes_out) {
  unsigned long long kilobytes;
  size_t length = strlen(name);
  if (strncmp(line, name, length) != 0 || line[length] != ':') return;
  if (sscanf(line + length + 1, "%llu", &kilobytes) == 1) *bytes_out = kilobytes * 1024;
}

ossc_status ossc_get_process_memory(ossc_process_memory* memory_out) {
  if (memory_out == NULL) return fail(OSSC_ERROR_ARGUMENT, "memory_out is NULL; pass a struct.");
  ossc_process_memory result = {0};
  char line[256];
  FILE* file = fopen("/proc/self/status", "re");
  while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
    read_kilobytes(line, "VmHWM", &result.peak_rss_bytes);
    read_kilobytes(line, "RssAnon", &result.anonymous_bytes);
    read_kilobytes(line, "RssFile", &result.mapped_bytes);
  }
  if (file != NULL) fclose(file);
  *memory_out = result;
  return OSSC_OK;
}
