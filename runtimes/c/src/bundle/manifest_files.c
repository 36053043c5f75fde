#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "bundle/manifest_parts.h"

static ossc_status read_role(const char* file, const char* name, file_role* role_out) {
  static const char* const names[] = {"weights",   "plan", "code", "program",
                                      "tokenizer", "text", "card"};
  for (size_t i = 0; i < COUNT_OF(names); ++i) {
    if (strcmp(names[i], name) == 0) {
      *role_out = (file_role)i;
      return OSSC_OK;
    }
  }
  return fail(OSSC_ERROR_BUNDLE,
              "The manifest gives %.128s the role \"%.32s\", which this runtime does not know; "
              "compile the model again.",
              file, name);
}

ossc_status manifest_file(const json_value* file, manifest_entry* entry_out) {
  const json_value *role, *size_bytes, *digest;
  const json_field fields[] = {
      {"role", JSON_TEXT, &role},
      {"size_bytes", JSON_INTEGER, &size_bytes},
      {"sha256", JSON_TEXT, &digest},
  };
  if (!file_name_is_valid(file->name) || strcmp(file->name, MANIFEST_NAME) == 0 ||
      strcmp(file->name, DIGEST_NAME) == 0) {
    return fail(OSSC_ERROR_BUNDLE,
                "The manifest lists a file %.128s, which no bundle has; compile "
                "the model again.",
                file->name);
  }
  ossc_status status = json_read(file, MANIFEST_NAME ": files", fields, COUNT_OF(fields));
  if (status != OSSC_OK) return status;
  entry_out->size_bytes = size_bytes->integer;
  entry_out->sha256 = digest->text;
  return read_role(file->name, role->text, &entry_out->role);
}

ossc_status manifest_find_file(const manifest* m, const char* name, file_role role,
                               manifest_entry* entry_out) {
  for (const json_value* file = m->files->first; file != NULL; file = file->next) {
    if (strcmp(file->name, name) != 0) continue;
    ossc_status status = manifest_file(file, entry_out);
    if (status != OSSC_OK || entry_out->role == role) return status;
  }
  return fail(OSSC_ERROR_BUNDLE,
              "The manifest does not list %s, or gives it another role; compile the model again.",
              name);
}
