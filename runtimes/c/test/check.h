/* The one assertion of the C tests. */
#ifndef OSSC_TEST_CHECK_H_
#define OSSC_TEST_CHECK_H_

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ossc.h"

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "%s:%d: %s does not hold; last error: %s\n", __FILE__, __LINE__, #condition, \
              ossc_last_error());                                                                  \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

/* The call fails with that status, and its message contains the text. */
#define CHECK_FAILS(call, status, text)               \
  do {                                                \
    CHECK((call) == (status));                        \
    CHECK(strstr(ossc_last_error(), (text)) != NULL); \
  } while (0)

#endif /* OSSC_TEST_CHECK_H_ */
