/* SHA-256 and the JSON reader. */
#include <stdint.h>

#include "check.h"
#include "base/json.h"
#include "base/sha256.h"

static void sha256_gives_the_examples_of_fips_180(void) {
  static const char* const examples[][2] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  };
  for (size_t i = 0; i < 3; ++i) {
    sha256 hash;
    char hex[SHA256_HEX_LENGTH + 1];
    sha256_begin(&hash);
    sha256_update(&hash, examples[i][0], strlen(examples[i][0]));
    sha256_finish(&hash, hex);
    CHECK(strcmp(hex, examples[i][1]) == 0);
  }
}

static void sha256_does_not_depend_on_the_instructions(void) {
  static char data[1000];
  for (size_t i = 0; i < sizeof(data); ++i) data[i] = (char)(i * i >> 3);
  for (size_t size = 0; size < sizeof(data); ++size) {
    char fastest[SHA256_HEX_LENGTH + 1], portable[SHA256_HEX_LENGTH + 1];
    sha256 hash;
    sha256_begin(&hash);
    sha256_update(&hash, data, size);
    sha256_finish(&hash, fastest);
    sha256_begin(&hash);
    hash.blocks = sha256_blocks_portable;
    sha256_update(&hash, data, size);
    sha256_finish(&hash, portable);
    CHECK(strcmp(fastest, portable) == 0);
  }
}

static void sha256_does_not_depend_on_the_pieces(void) {
  static char data[1000];
  char whole[SHA256_HEX_LENGTH + 1], pieces[SHA256_HEX_LENGTH + 1];
  for (size_t i = 0; i < sizeof(data); ++i) data[i] = (char)(i * 31);
  for (size_t size = 0; size < 300; ++size) {
    sha256 hash;
    sha256_begin(&hash);
    sha256_update(&hash, data, size);
    sha256_finish(&hash, whole);
    sha256_begin(&hash);
    for (size_t i = 0, step = 1; i < size; i += step, step = step % 67 + 1) {
      sha256_update(&hash, data + i, step < size - i ? step : size - i);
    }
    sha256_finish(&hash, pieces);
    CHECK(strcmp(whole, pieces) == 0);
  }
}

/* Parses a copy with nothing behind it, so that ASan sees every byte read too far. */
static ossc_status parse(const char* text, json_document* document_out) {
  size_t size = strlen(text);
  char* copy = malloc(size > 0 ? size : 1);
  CHECK(copy != NULL);
  memcpy(copy, text, size);
  ossc_status status = json_parse(copy, size, "test", document_out);
  free(copy);
  return status;
}

static void values_are_read(void) {
  json_document document;
  CHECK(parse(" {\"a\" : [1, -2, 9223372036854775807, -9223372036854775808, 1.5e3, 1e999],"
              "\"t\":\"\\u00e9\\ud83d\\ude00\\n/\", \"n\":null,\"b\":true, \"e\":{}, \"l\":[ ] }\n",
              &document) == OSSC_OK);
  const json_value* a = document.root->first;
  const int64_t expected[] = {1, -2, INT64_MAX, INT64_MIN};
  CHECK(document.root->kind == JSON_OBJECT && document.root->count == 6);
  CHECK(strcmp(a->name, "a") == 0 && a->kind == JSON_ARRAY && a->count == 6);
  const json_value* element = a->first;
  for (int i = 0; i < 4; ++i, element = element->next) {
    CHECK(element->kind == JSON_INTEGER && element->integer == expected[i]);
  }
  CHECK(element->kind == JSON_REAL && element->next->kind == JSON_REAL);
  CHECK(strcmp(a->next->text, "\xc3\xa9\xf0\x9f\x98\x80\n/") == 0);
  json_free(&document);
}

static void what_is_not_json_is_refused(void) {
  static const char* const texts[] = {"",
                                      " ",
                                      "{",
                                      "[",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{1:1}",
                                      "\"",
                                      "\"\\",
                                      "\"\\u",
                                      "\"\\u12",
                                      "\"\\u0000\"",
                                      "\"\\ud800\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\\udc00\"",
                                      "\"\\x\"",
                                      "\"\t\"",
                                      "\"\xff\"",
                                      "\"\xc0\x80\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xf4\x90\x80\x80\"",
                                      "\"\xe2\x82\"",
                                      "01",
                                      "-",
                                      "+1",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e+",
                                      "0x1",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "tru",
                                      "nul",
                                      "True",
                                      "1 2",
                                      "[1]]",
                                      "{}{}",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"a\":{\"b\":1,\"c\":2,\"b\":3}}",
                                      "[1;2]",
                                      "{\"a\" 1}"};
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); ++i) {
    json_document document;
    CHECK_FAILS(parse(texts[i], &document), OSSC_ERROR_BUNDLE, "test is not valid JSON at byte");
  }
}

static void depth_and_members_are_bounded(void) {
  static char text[16 * (JSON_MAX_MEMBERS + 2)];
  json_document document;
  memset(text, '[', 10000);
  CHECK_FAILS(parse(text, &document), OSSC_ERROR_BUNDLE, "too many levels");
  size_t length = 0;
  for (int i = 0; i <= JSON_MAX_MEMBERS; ++i) {
    length += (size_t)sprintf(text + length, "%c\"%d\":1", i == 0 ? '{' : ',', i);
  }
  strcpy(text + length, "}");
  CHECK_FAILS(parse(text, &document), OSSC_ERROR_BUNDLE, "too many members");
}

static void fields_have_to_be_those_expected(void) {
  json_document document;
  const json_value *a = NULL, *b = NULL;
  const json_field fields[] = {{"a", JSON_INTEGER, &a}, {"b", JSON_TEXT, &b}};
  CHECK(parse("{\"b\":\"x\",\"a\":5}", &document) == OSSC_OK);
  CHECK(json_read(document.root, "test", fields, 2) == OSSC_OK);
  CHECK(a->integer == 5 && strcmp(b->text, "x") == 0);
  CHECK_FAILS(json_read(document.root, "test", fields, 1), OSSC_ERROR_BUNDLE, "does not know");
  CHECK_FAILS(json_read(a, "test", fields, 2), OSSC_ERROR_BUNDLE, "not an object");
  json_free(&document);
  CHECK(parse("{\"b\":\"x\",\"a\":5.0}", &document) == OSSC_OK);
  CHECK_FAILS(json_read(document.root, "test", fields, 2), OSSC_ERROR_BUNDLE, "no valid field a");
  json_free(&document);
}

int main(void) {
  sha256_gives_the_examples_of_fips_180();
  sha256_does_not_depend_on_the_instructions();
  sha256_does_not_depend_on_the_pieces();
  values_are_read();
  what_is_not_json_is_refused();
  depth_and_members_are_bounded();
  fields_have_to_be_those_expected();
  return 0;
}
