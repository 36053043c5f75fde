/* Damaged and hostile bundles: test_attacks BUNDLE flips bytes in the bundle's files and puts them
 * back; test_attacks --plans FILE parses plans one after the other and prints which are accepted.
 */
#include <stdint.h>

#include "check.h"
#include "base/file.h"
#include "bundle/plan.h"

static void write_file(const char* path, const char* data, size_t size) {
  FILE* file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(data, 1, size, file) == size);
  CHECK(fclose(file) == 0);
}

static void check_refused(const char* directory, const char* name, size_t position) {
  ossc_model* model = NULL;
  ossc_status status = ossc_model_open(directory, NULL, &model);
  if (status == OSSC_ERROR_BUNDLE && model == NULL && ossc_last_error()[0] != '\0') return;
  fprintf(stderr, "byte %zu of %s was changed and the status is %d\n", position, name, status);
  exit(1);
}

/* Every byte in turn gets one bit, all bits, and the bit of letter case changed. */
static void every_changed_byte_is_refused(const char* directory, const char* name) {
  static const char changes[] = {1, (char)0xff, 0x20};
  char path[FILE_PATH_BYTES], *data;
  size_t size;
  CHECK(file_path(directory, name, path) == OSSC_OK);
  CHECK(file_read(path, 1 << 20, &data, &size) == OSSC_OK);
  for (size_t i = 0; i < size; ++i) {
    char change = changes[i % sizeof(changes)];
    data[i] ^= change;
    write_file(path, data, size);
    check_refused(directory, name, i);
    data[i] ^= change;
  }
  for (size_t length = 0; length < size; length += size / 50 + 1) {
    write_file(path, data, length);
    check_refused(directory, name, length);
  }
  write_file(path, data, size);
  free(data);
}

static void flip_bytes(const char* directory) {
  static const char* const names[] = {"manifest.json", "manifest.sha256", "plan.bin"};
  ossc_model* model = NULL;
  for (int i = 0; i < 3; ++i) every_changed_byte_is_refused(directory, names[i]);
  CHECK(ossc_model_open(directory, NULL, &model) == OSSC_OK);
  ossc_model_close(model);
}

/* The file holds plans, each behind its length as u32. */
static void parse_plans(const char* path) {
  char* data;
  size_t size, offset = 0;
  CHECK(file_read(path, (size_t)1 << 30, &data, &size) == OSSC_OK);
  while (offset + 4 <= size) {
    uint32_t length;
    plan parsed;
    memcpy(&length, data + offset, 4);
    char* copy = malloc(length + 1); /* of its own, so that ASan sees every byte read too far */
    CHECK(copy != NULL);
    memcpy(copy, data + offset + 4, length);
    ossc_status status = plan_parse(copy, length, &parsed);
    CHECK(status == OSSC_OK || status == OSSC_ERROR_BUNDLE);
    putchar(status == OSSC_OK ? '1' : '0');
    if (status == OSSC_OK) plan_free(&parsed);
    free(copy);
    offset += 4 + length;
  }
  free(data);
}

int main(int argc, char** argv) {
  CHECK(argc == 2 || (argc == 3 && strcmp(argv[1], "--plans") == 0));
  if (argc == 2) {
    flip_bytes(argv[1]);
  } else {
    parse_plans(argv[2]);
  }
  return 0;
}
