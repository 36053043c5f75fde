#define _GNU_SOURCE /* flock */
#include "device/opencl/program_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MAGIC "OSSCPRG1"
#define MAX_BYTES ((size_t)1 << 30)
#define NAME_BYTES (SHA256_HEX_LENGTH + sizeof(".tmp"))

/* What a file begins with; the driver's bytes follow. */
typedef struct header {
  char magic[8];
  char key[SHA256_HEX_LENGTH];
  char hash[SHA256_HEX_LENGTH]; /* of the driver's bytes */
  uint64_t size;
} header;

static bool join(const char* parent, const char* name, char path_out[FILE_PATH_BYTES]) {
  int length = snprintf(path_out, FILE_PATH_BYTES, "%s/%s", parent, name);
  return length > 0 && length < FILE_PATH_BYTES;
}

static bool has_text(const char* value) { return value != NULL && value[0] != '\0'; }

static bool find_folder(char path_out[FILE_PATH_BYTES]) {
  const char* own = getenv(PROGRAM_CACHE_VARIABLE);
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (has_text(own)) return strcmp(own, "none") != 0 && join(own, "", path_out);
  if (has_text(cache)) return join(cache, "ossc", path_out);
  return has_text(home) && join(home, ".cache/ossc", path_out);
}

bool program_cache_is_on(void) {
  char path[FILE_PATH_BYTES];
  return find_folder(path);
}

static bool find_file(const program_key key, const char* ending, char path_out[FILE_PATH_BYTES]) {
  char folder[FILE_PATH_BYTES], name[NAME_BYTES];
  snprintf(name, sizeof(name), "%s%s", key, ending);
  return find_folder(folder) && join(folder, name, path_out);
}

/* The folder and those above it. */
static bool make_folder(void) {
  char path[FILE_PATH_BYTES];
  if (!find_folder(path)) return false;
  for (char* end = path + 1; *end != '\0'; ++end) {
    if (*end != '/') continue;
    *end = '\0';
    bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
    *end = '/';
    if (!made) return false;
  }
  return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static header describe(const program_key key, const uint8_t* data, size_t size) {
  header head = {.size = size};
  char hex[SHA256_HEX_LENGTH + 1];
  sha256 hash;
  sha256_begin(&hash);
  sha256_update(&hash, data, size);
  sha256_finish(&hash, hex);
  memcpy(head.magic, MAGIC, sizeof(head.magic));
  memcpy(head.key, key, sizeof(head.key));
  memcpy(head.hash, hex, sizeof(head.hash));
  return head;
}

/* Code that another user could have written is not run. */
static bool is_ours(const char* path) {
  struct stat entry;
  return stat(path, &entry) == 0 && S_ISREG(entry.st_mode) && entry.st_uid == geteuid();
}

static bool is_sound(const program_key key, const char* file, size_t size) {
  if (size < sizeof(header)) return false;
  const uint8_t* data = (const uint8_t*)file + sizeof(header);
  header head = describe(key, data, size - sizeof(header));
  return memcmp(file, &head, sizeof(header)) == 0;
}

uint8_t* program_cache_load(const program_key key, size_t* size_out) {
  char path[FILE_PATH_BYTES], *file;
  size_t size;
  if (!find_file(key, "", path) || !is_ours(path)) return NULL;
  if (file_read(path, MAX_BYTES, &file, &size) != OSSC_OK) return NULL;
  if (!is_sound(key, file, size)) {
    free(file);
    return NULL;
  }
  *size_out = size - sizeof(header);
  memmove(file, file + sizeof(header), *size_out);
  return (uint8_t*)file;
}

static bool write_all(int descriptor, const void* data, size_t size) {
  const char* next = data;
  while (size > 0) {
    ssize_t count = write(descriptor, next, size);
    if (count < 0 && errno != EINTR) return false;
    if (count < 0) continue;
    next += count;
    size -= (size_t)count;
  }
  return true;
}

/* Whether the descriptor's file is still the one of that name. */
static bool is_in_place(int descriptor, const char* path) {
  struct stat opened, there;
  return fstat(descriptor, &opened) == 0 && stat(path, &there) == 0 &&
         opened.st_ino == there.st_ino && opened.st_dev == there.st_dev;
}

/* Opens the one new file of a key, alone: what a writer that was killed left is taken over, and
 * where another one writes the same bytes there is nothing to do. -1: not to be had. */
static int open_new(const char* path) {
  int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return -1;
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && is_in_place(descriptor, path) &&
      ftruncate(descriptor, 0) == 0) {
    return descriptor;
  }
  close(descriptor);
  return -1;
}

void program_cache_store(const program_key key, const uint8_t* data, size_t size) {
  char path[FILE_PATH_BYTES], new_path[FILE_PATH_BYTES];
  if (!find_file(key, "", path) || !find_file(key, ".tmp", new_path) || !make_folder()) return;
  int descriptor = open_new(new_path);
  if (descriptor < 0) return;
  header head = describe(key, data, size);
  bool written =
      write_all(descriptor, &head, sizeof(head)) && write_all(descriptor, data, size);
  if (!written || rename(new_path, path) != 0) unlink(new_path);
  close(descriptor); /* not before: the lock ends with it */
}
