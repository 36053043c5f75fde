#include "bundle/kv_type.h"

#include <string.h>

#include "base/error.h"

static const struct {
  const char* name;
  const char* plan;
} kv_types[] = {
    [OSSC_KV_F32] = {"f32", "plan.bin"},
    [OSSC_KV_F16] = {"f16", "plan.f16.bin"},
    [OSSC_KV_INT8] = {"int8", "plan.int8.bin"},
};

#define NUM_KV_TYPES ((int)(sizeof(kv_types) / sizeof(kv_types[0])))

ossc_status kv_type_parse(const char* what, const char* name, ossc_kv_type* type_out) {
  for (int i = 0; i < NUM_KV_TYPES; ++i) {
    if (kv_types[i].name != NULL && strcmp(kv_types[i].name, name) == 0) {
      *type_out = (ossc_kv_type)i;
      return OSSC_OK;
    }
  }
  return fail(OSSC_ERROR_ARGUMENT, "%s is \"%.32s\"; it has to be f32, f16 or int8.", what, name);
}

const char* kv_type_name(ossc_kv_type type) {
  return (int)type >= 0 && (int)type < NUM_KV_TYPES ? kv_types[type].name : NULL;
}

const char* kv_type_plan(ossc_kv_type type) { return kv_types[type].plan; }
