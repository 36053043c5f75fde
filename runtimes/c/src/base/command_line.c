#include "base/command_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define SPACES " \t\r"

static bool grow(command_line* line) {
  size_t capacity = line->capacity == 0 ? 4096 : 2 * line->capacity;
  char* text = capacity > COMMAND_LINE_MAX_BYTES ? NULL : realloc(line->text, capacity);
  if (text == NULL) return false;
  line->text = text;
  line->capacity = capacity;
  return true;
}

ossc_status command_line_read(FILE* input, command_line* line, bool* end_out) {
  size_t length = 0;
  bool fits = true;
  int c = getc(input);
  *end_out = c == EOF;
  for (; c != EOF && c != '\n'; c = getc(input)) {
    fits = fits && (length + 1 < line->capacity || grow(line));
    if (fits) line->text[length++] = c == '\0' ? '?' : (char)c;
  }
  if (!fits || (line->capacity == 0 && !grow(line))) {
    return fail(OSSC_ERROR_ARGUMENT, "The command is longer than %zu bytes; give fewer token ids.",
                COMMAND_LINE_MAX_BYTES - 1);
  }
  line->text[length] = '\0';
  return OSSC_OK;
}

char* command_line_word(char** text) {
  char* word = *text + strspn(*text, SPACES);
  char* end = word + strcspn(word, SPACES);
  *text = *end == '\0' ? end : end + 1;
  *end = '\0';
  return word;
}

void command_line_free(command_line* line) {
  free(line->text);
  *line = (command_line){0};
}
