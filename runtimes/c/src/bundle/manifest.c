#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "bundle/kv_type.h"
#include "bundle/manifest_parts.h"

#define MAX_MANIFEST_BYTES ((size_t)4 << 20)
#define DIGEST_BYTES (SHA256_HEX_LENGTH + 1) /* with a newline */

static ossc_status check_digest(const char* digest, size_t size, const char* data,
                                size_t data_size) {
  sha256 hash;
  char hex[SHA256_HEX_LENGTH + 1];
  sha256_begin(&hash);
  sha256_update(&hash, data, data_size);
  sha256_finish(&hash, hex);
  hex[SHA256_HEX_LENGTH] = '\n';
  if (size != DIGEST_BYTES || memcmp(digest, hex, DIGEST_BYTES) != 0) {
    return fail(OSSC_ERROR_BUNDLE,
                MANIFEST_NAME " does not have the hash in " DIGEST_NAME
                              ": the bundle is damaged; copy or compile it again.");
  }
  return OSSC_OK;
}

static ossc_status read_checked(const char* directory, char** data_out, size_t* size_out) {
  char path[FILE_PATH_BYTES];
  char *digest = NULL, *data = NULL;
  size_t digest_size = 0, size = 0;
  ossc_status status = file_path(directory, MANIFEST_NAME, path);
  if (status == OSSC_OK) status = file_read(path, MAX_MANIFEST_BYTES, &data, &size);
  if (status == OSSC_OK) status = file_path(directory, DIGEST_NAME, path);
  if (status == OSSC_OK) status = file_read(path, DIGEST_BYTES, &digest, &digest_size);
  if (status == OSSC_OK) status = check_digest(digest, digest_size, data, size);
  free(digest);
  if (status != OSSC_OK) {
    free(data);
    return status;
  }
  *data_out = data;
  *size_out = size;
  return OSSC_OK;
}

/* Says what to do about another version before anything else is said about its fields. */
static ossc_status check_version(const json_value* root) {
  const json_value* version = root->kind == JSON_OBJECT ? root->first : NULL;
  while (version != NULL && strcmp(version->name, "format_version") != 0) version = version->next;
  if (version == NULL || version->kind != JSON_INTEGER) {
    return fail(OSSC_ERROR_BUNDLE,
                MANIFEST_NAME " has no format_version; compile the model again.");
  }
  if (version->integer != MANIFEST_FORMAT_VERSION) {
    return fail(OSSC_ERROR_BUNDLE,
                "The bundle has format version %lld and this runtime reads %d; compile the model "
                "again.",
                (long long)version->integer, MANIFEST_FORMAT_VERSION);
  }
  return OSSC_OK;
}

/* What a reader has to know beyond the format. Nothing so far, and NULL at the end. */
static const char* const known_features[] = {NULL};

static bool is_known(const char* feature) {
  for (const char* const* known = known_features; *known != NULL; ++known) {
    if (strcmp(*known, feature) == 0) return true;
  }
  return false;
}

static ossc_status check_features(const json_value* features) {
  ossc_status status = manifest_check_elements(features, "features", JSON_TEXT);
  if (status != OSSC_OK) return status;
  for (const json_value* each = features->first; each != NULL; each = each->next) {
    if (!is_known(each->text)) {
      return fail(OSSC_ERROR_BUNDLE,
                  "The bundle needs \"%.32s\", which this runtime does not know; compile the model "
                  "again.",
                  each->text);
    }
  }
  return OSSC_OK;
}

static ossc_status read_stop_token_ids(manifest* m, const json_value* ids) {
  ossc_status status = manifest_check_elements(ids, "stop_token_ids", JSON_INTEGER);
  if (status != OSSC_OK) return status;
  m->stop_token_ids = calloc(ids->count + 1, sizeof(int32_t));
  if (m->stop_token_ids == NULL) return fail_out_of_memory("the stop tokens");
  for (const json_value* id = ids->first; id != NULL; id = id->next) {
    if (id->integer < 0 || id->integer > INT32_MAX) {
      return fail(OSSC_ERROR_BUNDLE,
                  "The stop token %lld is not a token id; compile the model "
                  "again.",
                  (long long)id->integer);
    }
    m->stop_token_ids[m->num_stop_token_ids++] = (int32_t)id->integer;
  }
  return OSSC_OK;
}

static ossc_status read_memory(manifest* m, const json_value* memory) {
  const json_value *weights_bytes, *default_kv, *kv;
  const json_field fields[] = {
      {"weights_bytes", JSON_INTEGER, &weights_bytes},
      {"default_kv", JSON_TEXT, &default_kv},
      {"kv", JSON_OBJECT, &kv},
  };
  ossc_status status = json_read(memory, MANIFEST_NAME ": memory", fields, COUNT_OF(fields));
  if (status != OSSC_OK) return status;
  if (kv_type_parse("default_kv", default_kv->text, &m->default_kv) == OSSC_OK) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "The manifest has KV caches of type %.32s, which this runtime does not know; compile "
              "the model again.",
              default_kv->text);
}

static ossc_status read_fields(manifest* m) {
  const json_value *version, *writer, *abi, *features, *model, *target, *quantization;
  const json_value *context, *chunk, *stop, *memory, *kernels;
  const json_field fields[] = {
      {"format_version", JSON_INTEGER, &version},
      {"ossc_version", JSON_TEXT, &writer},
      {"plan_abi_version", JSON_INTEGER, &abi},
      {"features", JSON_ARRAY, &features},
      {"model", JSON_OBJECT, &model},
      {"target", JSON_OBJECT, &target},
      {"quantization", JSON_OBJECT, &quantization},
      {"context", JSON_INTEGER, &context},
      {"prefill_chunk", JSON_INTEGER, &chunk},
      {"stop_token_ids", JSON_ARRAY, &stop},
      {"memory", JSON_OBJECT, &memory},
      {"kernels", JSON_OBJECT, &kernels},
      {"files", JSON_OBJECT, &m->files},
  };
  ossc_status status = check_version(m->document.root);
  if (status != OSSC_OK) return status;
  status = json_read(m->document.root, MANIFEST_NAME, fields, COUNT_OF(fields));
  if (status != OSSC_OK) return status;
  m->plan_abi_version = abi->integer;
  m->context = context->integer;
  m->prefill_chunk = chunk->integer;
  status = check_features(features);
  if (status == OSSC_OK) status = manifest_read_target(m, target);
  if (status == OSSC_OK) status = read_memory(m, memory);
  return status == OSSC_OK ? read_stop_token_ids(m, stop) : status;
}

ossc_status manifest_open(const char* directory, manifest* manifest_out) {
  manifest m = {0};
  char* data = NULL;
  size_t size = 0;
  ossc_status status = read_checked(directory, &data, &size);
  if (status == OSSC_OK) status = json_parse(data, size, MANIFEST_NAME, &m.document);
  free(data);
  if (status == OSSC_OK) status = read_fields(&m);
  if (status != OSSC_OK) {
    manifest_free(&m);
    return status;
  }
  *manifest_out = m;
  return OSSC_OK;
}

void manifest_free(manifest* m) {
  free(m->stop_token_ids);
  json_free(&m->document);
  *m = (manifest){0};
}
