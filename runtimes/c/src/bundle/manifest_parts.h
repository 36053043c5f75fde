/* What the readers of parts of manifest.json share. */
#ifndef OSSC_MANIFEST_PARTS_H_
#define OSSC_MANIFEST_PARTS_H_

#include "bundle/manifest.h"

#define MANIFEST_NAME "manifest.json"
#define DIGEST_NAME "manifest.sha256"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Refuses an array, which messages call so, of which an element is of another kind. */
ossc_status manifest_check_elements(const json_value* array, const char* name, json_kind kind);

ossc_status manifest_read_target(manifest* m, const json_value* target);

#endif /* OSSC_MANIFEST_PARTS_H_ */
