#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES 1024

static _Thread_local char last_error[MESSAGE_BYTES];

const char* ossc_last_error(void) { return last_error; }

void error_clear(void) { last_error[0] = '\0'; }

ossc_status fail(ossc_status status, const char* format, ...) {
  char message[MESSAGE_BYTES]; /* an argument may be last_error itself */
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  memcpy(last_error, message, sizeof(message));
  return status;
}

ossc_status fail_file(const char* what, const char* path) {
  return fail(OSSC_ERROR_BUNDLE, "Cannot %s %s (%s); give the directory of a complete bundle.",
              what, path, strerror(errno));
}

ossc_status fail_out_of_memory(const char* what) {
  return fail(OSSC_ERROR_MEMORY, "There is not enough memory for %s; close other programs.", what);
}
