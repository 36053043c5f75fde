/* The types of KV caches by their names, and the plan of each. */
#ifndef OSSC_KV_TYPE_H_
#define OSSC_KV_TYPE_H_

#include "ossc.h"

/* The type of a name; never OSSC_KV_DEFAULT.  what: who gives the name, for the error. */
ossc_status kv_type_parse(const char* what, const char* name, ossc_kv_type* type_out);

/* NULL for what is no type, and for OSSC_KV_DEFAULT. */
const char* kv_type_name(ossc_kv_type type);

/* The file of the bundle with the plan for a type. */
const char* kv_type_plan(ossc_kv_type type);

#endif /* OSSC_KV_TYPE_H_ */
