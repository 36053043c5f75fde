#include "base/parse.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define DIGITS "0123456789"

/* What the C library would skip or add, such as blanks, +, 0x and inf, is refused. */
static bool consists_of(const char* text, const char* first, const char* rest) {
  return *text != '\0' && strchr(first, *text) != NULL && text[strspn(text, rest)] == '\0';
}

ossc_status parse_integer(const char* name, const char* text, int64_t least, int64_t most,
                          int64_t* value_out) {
  bool is_number = consists_of(text + (*text == '-'), DIGITS, DIGITS);
  errno = 0;
  long long value = strtoll(text, NULL, 10);
  if (!is_number || errno != 0 || value < least || value > most) {
    return fail(OSSC_ERROR_ARGUMENT,
                "%s is \"%.32s\"; it has to be a whole number from %lld to %lld.", name, text,
                (long long)least, (long long)most);
  }
  *value_out = value;
  return OSSC_OK;
}

ossc_status parse_unsigned(const char* name, const char* text, uint64_t* value_out) {
  errno = 0;
  unsigned long long value = strtoull(text, NULL, 10);
  if (!consists_of(text, DIGITS, DIGITS) || errno != 0) {
    return fail(OSSC_ERROR_ARGUMENT, "%s is \"%.32s\"; it has to be a whole number from 0 to %llu.",
                name, text, (unsigned long long)UINT64_MAX);
  }
  *value_out = value;
  return OSSC_OK;
}

ossc_status parse_real(const char* name, const char* text, float* value_out) {
  bool is_number = consists_of(text + (*text == '-'), DIGITS ".", DIGITS ".eE+-");
  char* end;
  float value = (float)strtod(text, &end);
  if (!is_number || end == text || *end != '\0' || !isfinite(value)) {
    return fail(OSSC_ERROR_ARGUMENT, "%s is \"%.32s\"; it has to be a number that float32 holds.",
                name, text);
  }
  *value_out = value;
  return OSSC_OK;
}
