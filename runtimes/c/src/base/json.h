/* A strict reader of small JSON documents (RFC 8259) that nobody vouches for.
 *
 * Stricter than the RFC: names in one object are unique, texts are valid UTF-8 without NUL, at most
 * JSON_MAX_DEPTH levels and JSON_MAX_MEMBERS members in an object.
 */
#ifndef OSSC_JSON_H_
#define OSSC_JSON_H_

#include "ossc.h"

#define JSON_MAX_DEPTH 32
#define JSON_MAX_MEMBERS 4096

typedef enum json_kind {
  JSON_NULL,
  JSON_BOOLEAN,
  JSON_INTEGER, /* a number without fraction and exponent that fits int64_t */
  JSON_REAL,    /* any other number; its value is not kept */
  JSON_TEXT,
  JSON_ARRAY,
  JSON_OBJECT
} json_kind;

typedef struct json_value {
  json_kind kind;
  const char* name; /* of a member of an object, else NULL */
  union {
    bool boolean;
    int64_t integer;
    const char* text;
    size_t count; /* elements or members */
  };
  const struct json_value* first; /* element or member */
  const struct json_value* next;  /* element or member of the same parent */
} json_value;

typedef struct json_document {
  json_value* root;
  char* text; /* all texts and names, each with a NUL */
} json_document;

/* where: what messages call the document. Release it with json_free. */
ossc_status json_parse(const char* data, size_t size, const char* where,
                       json_document* document_out);

void json_free(json_document* document);

/* A member that json_read has to find. */
typedef struct json_field {
  const char* name;
  json_kind kind;
  const json_value** value_out;
} json_field;

/* Finds every field in an object; another member, kind or a missing one is an error. */
ossc_status json_read(const json_value* object, const char* where, const json_field* fields,
                      size_t num_fields);

/* Whether the bytes are UTF-8 without surrogates and overlong forms. */
bool utf8_is_valid(const char* data, size_t size);

#endif /* OSSC_JSON_H_ */
