#include "base/error.h"

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

/* What helps against a failure of the system, which is no fault of the bundle. */
static const char* advice_for(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
      return "close files, or allow more of them (ulimit -n)";
    case ENOMEM:
    case EAGAIN:
      return "close other programs, or allow more memory (ulimit -v)";
    default:
      return NULL;
  }
}

ossc_status fail_file(const char* what, const char* path) {
  int error = errno;
  const char* advice = advice_for(error);
  if (advice != NULL) {
    return fail(OSSC_ERROR_MEMORY, "Cannot %s %s (%s); %s.", what, path, strerror(error), advice);
  }
  advice = "give the directory of a complete bundle";
  if (error == EACCES || error == EPERM) advice = "allow this user to read it";
  if (error == EIO) advice = "its disk or network does not deliver it; copy the bundle elsewhere";
  if (error == ENODEV) advice = "its file system maps no files; open it with resident weights";
  return fail(OSSC_ERROR_BUNDLE, "Cannot %s %s (%s); %s.", what, path, strerror(error), advice);
}

ossc_status fail_out_of_memory(const char* what) {
  return fail(OSSC_ERROR_MEMORY, 
              "There is not enough memory for %s; close other programs, or allow more of it "
              "(ulimit -v).",
              what);
}
