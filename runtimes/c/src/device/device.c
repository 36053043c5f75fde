#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MAX_LIST_BYTES 256

static const device_api* find(const char* kind) {
  for (const device_api* const* api = device_kinds; *api != NULL; ++api) {
    if (strcmp((*api)->kind, kind) == 0) return *api;
  }
  return NULL;
}

/* "cpu, null" */
static void list_kinds(char list_out[MAX_LIST_BYTES]) {
  size_t length = 0;
  list_out[0] = '\0';
  for (const device_api* const* api = device_kinds; *api != NULL; ++api) {
    const char* comma = api == device_kinds ? "" : ", ";
    length +=
        (size_t)snprintf(list_out + length, MAX_LIST_BYTES - length, "%s%s", comma, (*api)->kind);
  }
}

static ossc_status find_named(const char* kind, const device_api** api_out) {
  char kinds[MAX_LIST_BYTES];
  *api_out = find(kind);
  if (*api_out != NULL) return OSSC_OK;
  list_kinds(kinds);
  return fail(OSSC_ERROR_MACHINE,
              DEVICE_VARIABLE
              " is %.32s, which is no device of this runtime; unset it, or set it "
              "to one of: %s.",
              kind, kinds);
}

ossc_status device_choose(const plan* p, const device_api** api_out) {
  char kinds[MAX_LIST_BYTES];
  const char* named = getenv(DEVICE_VARIABLE);
  if (named != NULL && named[0] != '\0') return find_named(named, api_out);
  *api_out = find(p->devices[0].kind);
  if (*api_out != NULL) return OSSC_OK;
  list_kinds(kinds);
  return fail(OSSC_ERROR_BUNDLE,
              "The plan is for a device of the kind %.32s, and this runtime has %s; run the "
              "program of the same bundle.",
              p->devices[0].kind, kinds);
}
