#include "parse.h"

#include <errno.h>
#include <stdlib.h>

#include "error.h"

ossc_status parse_integer(const char* name, const char* text, int64_t least, int64_t most,
                          int64_t* value_out) {
  char* end;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0 || value < least || value > most) {
    return fail(OSSC_ERROR_ARGUMENT,
                "%s is \"%.32s\"; it has to be a whole number from %lld to %lld.", name, text,
                (long long)least, (long long)most);
  }
  *value_out = value;
  return OSSC_OK;
}
