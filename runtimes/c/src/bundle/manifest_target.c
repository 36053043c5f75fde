#include <string.h>

#include "base/error.h"
#include "bundle/manifest_parts.h"

#define DIGITS "0123456789"

ossc_status manifest_check_elements(const json_value* array, const char* name, json_kind kind) {
  for (const json_value* element = array->first; element != NULL; element = element->next) {
    if (element->kind != kind) {
      return fail(OSSC_ERROR_BUNDLE,
                  "%s in " MANIFEST_NAME
                  " is not valid; compile the model "
                  "again.",
                  name);
    }
  }
  return OSSC_OK;
}

static ossc_status read_host(manifest* m, const json_value* host) {
  const json_value *arch, *instruction_sets; /* the last are for people to read */
  const json_field fields[] = {
      {"arch", JSON_TEXT, &arch},
      {"cpu_features", JSON_ARRAY, &m->cpu_features},
      {"instruction_sets", JSON_ARRAY, &instruction_sets},
  };
  ossc_status status = json_read(host, MANIFEST_NAME ": host", fields, COUNT_OF(fields));
  if (status != OSSC_OK) return status;
  m->arch = arch->text;
  status = manifest_check_elements(instruction_sets, "instruction_sets", JSON_TEXT);
  if (status != OSSC_OK) return status;
  return manifest_check_elements(m->cpu_features, "cpu_features", JSON_TEXT);
}

/* A CPU as a device has nothing that its host does not say. */
static ossc_status read_cpu(const json_value* device) {
  return json_read(device, MANIFEST_NAME ": device", NULL, 0);
}

/* "2.17" */
static bool is_version(const char* text) {
  size_t major = strspn(text, DIGITS), minor = 0;
  if (text[major] == '.') minor = strspn(text + major + 1, DIGITS);
  return major - 1 < 4 && minor - 1 < 4 && text[major + 1 + minor] == '\0';
}

/* What a device behind a driver must have follows from the plan; the program that reads this
 * runs, so its host has the C library that it needs. */
static ossc_status read_driver(const json_value* device) {
  const json_value* host_glibc;
  const json_field fields[] = {{"host_glibc", JSON_TEXT, &host_glibc}};
  ossc_status status = json_read(device, MANIFEST_NAME ": device", fields, COUNT_OF(fields));
  if (status != OSSC_OK || is_version(host_glibc->text)) return status;
  return fail(OSSC_ERROR_BUNDLE,
              "host_glibc in " MANIFEST_NAME " is not valid; compile the model again.");
}

static const struct {
  const char* kind;
  ossc_status (*read)(const json_value* device);
} device_kinds[] = {{"cpu", read_cpu}, {"opencl", read_driver}};

static ossc_status read_device(manifest* m, const json_value* device) {
  for (size_t i = 0; i < COUNT_OF(device_kinds); ++i) {
    if (strcmp(device_kinds[i].kind, m->kind) == 0) return device_kinds[i].read(device);
  }
  return fail(OSSC_ERROR_BUNDLE,
              "The bundle is for a device of the kind \"%.32s\", which this runtime does not know; "
              "compile the model again.",
              m->kind);
}

ossc_status manifest_read_target(manifest* m, const json_value* target) {
  const json_value *name, *kind, *host, *device;
  const json_field fields[] = {
      {"name", JSON_TEXT, &name},
      {"kind", JSON_TEXT, &kind},
      {"host", JSON_OBJECT, &host},
      {"device", JSON_OBJECT, &device},
  };
  ossc_status status = json_read(target, MANIFEST_NAME ": target", fields, COUNT_OF(fields));
  if (status != OSSC_OK) return status;
  m->target = name->text;
  m->kind = kind->text;
  status = read_device(m, device);
  return status == OSSC_OK ? read_host(m, host) : status;
}
