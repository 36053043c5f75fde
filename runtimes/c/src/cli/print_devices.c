#include "cli/print_devices.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/answer.h"
#include "base/error.h"

static void print_line(const ossc_device_info* d) {
  printf("%s:%d  %s%s\n  %s / %s", d->kind, (int)d->index, d->type,
         d->is_default ? " (default)" : "", d->platform, d->name);
  if (d->driver[0] != '\0') printf(" / driver %s", d->driver);
  printf("\n  %.1f GB of memory%s\n", (double)d->memory_bytes / 1e9,
         d->shares_memory ? ", shared with the host" : "");
}

static void print_text(const char* name, const char* text) {
  printf("\"%s\": ", name);
  answer_text(stdout, text);
  fputs(", ", stdout);
}

static const char* boolean(bool value) { return value ? "true" : "false"; }

static void print_object(const ossc_device_info* d) {
  printf("{");
  print_text("kind", d->kind);
  printf("\"index\": %d, ", (int)d->index);
  print_text("platform", d->platform);
  print_text("name", d->name);
  print_text("type", d->type);
  print_text("driver", d->driver);
  printf("\"memory_bytes\": %llu, ", (unsigned long long)d->memory_bytes);
  printf("\"shares_memory\": %s, \"is_default\": %s}", boolean(d->shares_memory),
         boolean(d->is_default));
}

static void print_all(const ossc_device_info* devices, size_t count, bool json) {
  if (json) printf("{\"devices\": [");
  for (size_t i = 0; i < count; ++i) {
    if (json && i > 0) printf(", ");
    if (json) print_object(&devices[i]);
    if (!json) print_line(&devices[i]);
  }
  if (json) printf("]}\n");
}

ossc_status print_devices(bool json) {
  size_t count, there;
  ossc_status status = ossc_list_devices(NULL, 0, &count);
  if (status != OSSC_OK) return status;
  ossc_device_info* devices = calloc(count + 1, sizeof(ossc_device_info));
  if (devices == NULL) return fail_out_of_memory("the list of devices");
  status = ossc_list_devices(devices, count, &there);
  if (status == OSSC_OK) print_all(devices, there < count ? there : count, json);
  free(devices);
  return status;
}
