#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

typedef struct parser {
  const char* where;
  const char* data;
  size_t size;
  size_t offset;
  char* text; /* where the next decoded text goes; never longer than its source */
  json_value* values;
  size_t num_values;
} parser;

static ossc_status parse_value(parser* p, json_value* value, int depth);

static ossc_status malformed(const parser* p, const char* fault) {
  return fail(OSSC_ERROR_BUNDLE, "%s is not valid JSON at byte %zu (%s); compile the model again.",
              p->where, p->offset, fault);
}

/* The next byte, or NUL at the end; a NUL in the document fits no rule either. */
static char peek(const parser* p) { return p->offset < p->size ? p->data[p->offset] : '\0'; }

static void skip_space(parser* p) {
  while (p->offset < p->size && strchr(" \t\r\n", peek(p)) != NULL && peek(p) != '\0') ++p->offset;
}

static bool take(parser* p, const char* token) {
  size_t length = strlen(token);
  if (p->size - p->offset < length || memcmp(p->data + p->offset, token, length) != 0) return false;
  p->offset += length;
  return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool take_digits(parser* p) {
  size_t begin = p->offset;
  while (is_digit(peek(p))) ++p->offset;
  return p->offset > begin;
}

/* The value of decimal digits, with a minus if wanted; false when it does not fit. */
static bool read_integer(const char* digits, size_t length, int64_t* value_out) {
  bool negative = digits[0] == '-';
  int64_t value = 0;
  for (size_t i = negative; i < length; ++i) {
    if (__builtin_mul_overflow(value, 10, &value)) return false;
    if (__builtin_sub_overflow(value, digits[i] - '0', &value)) return false;
  }
  return !__builtin_mul_overflow(value, negative ? 1 : -1, value_out);
}

static ossc_status parse_number(parser* p, json_value* value) {
  size_t begin = p->offset;
  take(p, "-");
  if (!take(p, "0") && !take_digits(p)) return malformed(p, "a digit was expected");
  size_t end = p->offset;
  value->kind = JSON_INTEGER;
  if (take(p, ".") && !take_digits(p)) return malformed(p, "a digit was expected");
  if (take(p, "e") || take(p, "E")) {
    if (!take(p, "+")) take(p, "-");
    if (!take_digits(p)) return malformed(p, "a digit was expected");
  }
  bool integral = p->offset == end;
  if (!integral || !read_integer(p->data + begin, end - begin, &value->integer)) {
    value->kind = JSON_REAL;
  }
  return OSSC_OK;
}

/* Four hex digits after `\u`; -1 when they are not. */
static int32_t take_hex(parser* p) {
  int32_t value = 0;
  for (int i = 0; i < 4; ++i, ++p->offset) {
    char c = peek(p);
    const char* digits = "0123456789abcdef0123456789ABCDEF";
    const char* found = c == '\0' ? NULL : strchr(digits, c);
    if (found == NULL) return -1;
    value = value * 16 + (int32_t)((found - digits) % 16);
  }
  return value;
}

static void put_utf8(parser* p, int32_t code) {
  if (code < 0x80) {
    *p->text++ = (char)code;
    return;
  }
  int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const int leads[4] = {0, 0xc0, 0xe0, 0xf0}; /* by the number of bytes that follow */
  *p->text++ = (char)(leads[tail] | code >> (6 * tail));
  for (int i = tail - 1; i >= 0; --i) *p->text++ = (char)(0x80 | (code >> (6 * i) & 0x3f));
}

static ossc_status parse_unicode_escape(parser* p) {
  int32_t code = take_hex(p);
  if (code >= 0xd800 && code < 0xdc00) {
    int32_t low = take(p, "\\u") ? take_hex(p) : -1;
    if (low < 0xdc00 || low > 0xdfff) return malformed(p, "half of a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xdc00 && code < 0xe000) {
    return malformed(p, "half of a surrogate pair");
  }
  if (code <= 0) return malformed(p, "four hex digits other than 0000 were expected");
  put_utf8(p, code);
  return OSSC_OK;
}

static ossc_status parse_escape(parser* p) {
  static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  char name = peek(p);
  const char* found = name == '\0' ? NULL : strchr(names, name);
  if (name == 'u') {
    ++p->offset;
    return parse_unicode_escape(p);
  }
  if (found == NULL) return malformed(p, "an unknown escape");
  ++p->offset;
  *p->text++ = meanings[found - names];
  return OSSC_OK;
}

static ossc_status parse_text(parser* p, const char** text_out) {
  if (!take(p, "\"")) return malformed(p, "a text was expected");
  *text_out = p->text;
  while (!take(p, "\"")) {
    if ((uint8_t)peek(p) < 0x20) return malformed(p, "a text is cut, or holds a control character");
    if (take(p, "\\")) {
      ossc_status status = parse_escape(p);
      if (status != OSSC_OK) return status;
    } else {
      *p->text++ = p->data[p->offset++];
    }
  }
  *p->text++ = '\0';
  return OSSC_OK;
}

static ossc_status check_unique(const parser* p, const json_value* object) {
  if (object->count > JSON_MAX_MEMBERS) return malformed(p, "an object has too many members");
  for (const json_value* a = object->first; a != NULL; a = a->next) {
    for (const json_value* b = a->next; b != NULL; b = b->next) {
      if (strcmp(a->name, b->name) == 0) return malformed(p, "an object has a name twice");
    }
  }
  return OSSC_OK;
}

static ossc_status parse_name(parser* p, json_value* member) {
  skip_space(p);
  ossc_status status = parse_text(p, &member->name);
  if (status != OSSC_OK) return status;
  skip_space(p);
  return take(p, ":") ? OSSC_OK : malformed(p, "a colon was expected");
}

/* An array or object, after its opening bracket. */
static ossc_status parse_children(parser* p, json_value* parent, int depth) {
  const char* close = parent->kind == JSON_OBJECT ? "}" : "]";
  const json_value** link = &parent->first;
  if (depth == JSON_MAX_DEPTH) return malformed(p, "too many levels");
  skip_space(p);
  if (take(p, close)) return OSSC_OK;
  do {
    json_value* child = &p->values[p->num_values++];
    ossc_status status = parent->kind == JSON_OBJECT ? parse_name(p, child) : OSSC_OK;
    if (status == OSSC_OK) status = parse_value(p, child, depth + 1);
    if (status != OSSC_OK) return status;
    *link = child;
    link = &child->next;
    ++parent->count;
    skip_space(p);
  } while (take(p, ","));
  if (!take(p, close)) return malformed(p, "a comma or a closing bracket was expected");
  return parent->kind == JSON_OBJECT ? check_unique(p, parent) : OSSC_OK;
}

static ossc_status parse_value(parser* p, json_value* value, int depth) {
  skip_space(p);
  bool is_object = peek(p) == '{';
  if (take(p, "{") || take(p, "[")) {
    value->kind = is_object ? JSON_OBJECT : JSON_ARRAY;
    return parse_children(p, value, depth);
  }
  if (peek(p) == '"') {
    value->kind = JSON_TEXT;
    return parse_text(p, &value->text);
  }
  if (peek(p) == 't' || peek(p) == 'f') {
    value->kind = JSON_BOOLEAN;
    value->boolean = peek(p) == 't';
    return take(p, "true") || take(p, "false") ? OSSC_OK : malformed(p, "an unknown word");
  }
  if (peek(p) == 'n') {
    value->kind = JSON_NULL;
    return take(p, "null") ? OSSC_OK : malformed(p, "an unknown word");
  }
  return parse_number(p, value);
}

static ossc_status parse_root(parser* p) {
  if (!utf8_is_valid(p->data, p->size)) return malformed(p, "it is not UTF-8");
  ossc_status status = parse_value(p, &p->values[p->num_values++], 0);
  if (status != OSSC_OK) return status;
  skip_space(p);
  return p->offset == p->size ? OSSC_OK : malformed(p, "the end was expected");
}

/* A value follows the start, an opening bracket or a comma, so there are no more than these. */
static size_t most_values(const char* data, size_t size) {
  size_t count = 1;
  for (size_t i = 0; i < size; ++i) count += data[i] == ',' || data[i] == '[' || data[i] == '{';
  return count;
}

ossc_status json_parse(const char* data, size_t size, const char* where,
                       json_document* document_out) {
  json_document document = {calloc(most_values(data, size), sizeof(json_value)), malloc(size + 1)};
  ossc_status status = OSSC_OK;
  if (document.root == NULL || document.text == NULL) {
    status = fail_out_of_memory(where);
  } else {
    parser p = {where, data, size, 0, document.text, document.root, 0};
    status = parse_root(&p);
  }
  if (status != OSSC_OK) {
    json_free(&document);
    return status;
  }
  *document_out = document;
  return OSSC_OK;
}

void json_free(json_document* document) {
  free(document->root);
  free(document->text);
  *document = (json_document){0};
}

static const json_value* find_member(const json_value* object, const char* name) {
  for (const json_value* member = object->first; member != NULL; member = member->next) {
    if (strcmp(member->name, name) == 0) return member;
  }
  return NULL;
}

ossc_status json_read(const json_value* object, const char* where, const json_field* fields,
                      size_t num_fields) {
  if (object->kind != JSON_OBJECT) {
    return fail(OSSC_ERROR_BUNDLE, "%s is not an object; compile the model again.", where);
  }
  for (size_t i = 0; i < num_fields; ++i) {
    const json_value* member = find_member(object, fields[i].name);
    if (member == NULL || member->kind != fields[i].kind) {
      return fail(OSSC_ERROR_BUNDLE, "%s has no valid field %s; compile the model again.", where,
                  fields[i].name);
    }
    *fields[i].value_out = member;
  }
  if (object->count != num_fields) {
    return fail(OSSC_ERROR_BUNDLE,
                "%s has fields that this version does not know; compile the "
                "model again.",
                where);
  }
  return OSSC_OK;
}
