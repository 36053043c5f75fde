#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MAX_LIST_BYTES 256

/* The kind that the first bytes of a text name. */
static const device_api* find(const char* text, size_t length) {
  for (const device_api* const* api = device_kinds; *api != NULL; ++api) {
    const char* kind = (*api)->kind;
    if (strlen(kind) == length && strncmp(kind, text, length) == 0) return *api;
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

static ossc_status find_named(const char* name, const char* source, const char* advice,
                              device_choice* choice_out) {
  char kinds[MAX_LIST_BYTES];
  size_t length = strcspn(name, ":");
  choice_out->api = find(name, length);
  choice_out->which = name + length + (name[length] == ':');
  if (choice_out->api != NULL) return OSSC_OK;
  list_kinds(kinds);
  return fail(OSSC_ERROR_MACHINE, "%s is %.64s, which is no device of this runtime; %s one of: %s.",
              source, name, advice, kinds);
}

static bool is_given(const char* text) { return text != NULL && text[0] != '\0'; }

ossc_status device_choose(const plan* p, const char* wanted, device_choice* choice_out) {
  char kinds[MAX_LIST_BYTES];
  const char *named = getenv(DEVICE_VARIABLE), *kind = p->devices[0].kind;
  if (is_given(wanted)) {
    return find_named(wanted, "The device", "leave it out, or name", choice_out);
  }
  if (is_given(named)) {
    return find_named(named, DEVICE_VARIABLE, "unset it, or set it to", choice_out);
  }
  *choice_out = (device_choice){find(kind, strlen(kind)), ""};
  if (choice_out->api != NULL) return OSSC_OK;
  list_kinds(kinds);
  return fail(OSSC_ERROR_BUNDLE,
              "The plan is for a device of the kind %.32s, and this runtime has %s; run the "
              "program of the same bundle.",
              kind, kinds);
}

ossc_status device_prober_open(const char* name, device_prober** prober_out) {
  device_choice choice;
  ossc_status status = find_named(name, "The device", "name", &choice);
  if (status != OSSC_OK) return status;
  if (choice.api->open_prober != NULL) return choice.api->open_prober(choice.which, prober_out);
  return fail(OSSC_ERROR_MACHINE,
              "There are no probes for the device %.64s, so its limits are not known; name one of "
              "another kind.",
              name);
}

ossc_status device_check_only(const char* which) {
  if (which[0] == '\0' || strcmp(which, "0") == 0) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "\"%.64s\" names none of the devices of a kind that has one; leave it out.", which);
}
