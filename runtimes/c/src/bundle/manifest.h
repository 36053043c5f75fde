/* What the runtime needs of manifest.json. */
#ifndef OSSC_MANIFEST_H_
#define OSSC_MANIFEST_H_

#include "base/json.h"

#define MANIFEST_FORMAT_VERSION 3

typedef struct manifest {
  json_document document; /* owns all names and texts */
  const char* target;
  const char* kind; /* of the device that executes the plan */
  const char* arch;
  const json_value* cpu_features; /* array of texts */
  const json_value* files;        /* object of objects, see manifest_file */
  int64_t plan_abi_version;
  int64_t context;
  int64_t prefill_chunk;
  ossc_kv_type default_kv;
  int32_t* stop_token_ids;
  size_t num_stop_token_ids;
} manifest;

/* What a file is for, in the order of their names in manifest.c. */
typedef enum file_role {
  FILE_WEIGHTS,
  FILE_PLAN,
  FILE_CODE,
  FILE_PROGRAM,
  FILE_TOKENIZER,
  FILE_TEXT,
  FILE_CARD
} file_role;

typedef struct manifest_entry {
  file_role role;
  int64_t size_bytes;
  const char* sha256;
} manifest_entry;

/* Checks manifest.sha256 and reads manifest.json. Release it with manifest_free. */
ossc_status manifest_open(const char* directory, manifest* manifest_out);

void manifest_free(manifest* m);

/* The entry of one member of `files`. */
ossc_status manifest_file(const json_value* file, manifest_entry* entry_out);

/* The entry of the member of `files` with that name, which has to have the role. */
ossc_status manifest_find_file(const manifest* m, const char* name, file_role role,
                               manifest_entry* entry_out);

#endif /* OSSC_MANIFEST_H_ */
