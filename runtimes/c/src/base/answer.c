#include "base/answer.h"

void answer_text(FILE* answer, const char* text) {
  fputc('"', answer);
  for (const char* c = text; *c != '\0'; ++c) {
    if (*c == '"' || *c == '\\') fputc('\\', answer);
    fputc(*c >= ' ' && *c <= '~' ? *c : '?', answer);
  }
  fputc('"', answer);
}

void answer_integers(FILE* answer, const int32_t* values, size_t count) {
  fputc('[', answer);
  for (size_t i = 0; i < count; ++i) fprintf(answer, "%s%d", i == 0 ? "" : ",", (int)values[i]);
  fputc(']', answer);
}
