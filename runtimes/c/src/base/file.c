#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC, fstat */
#define _FILE_OFFSET_BITS 64    /* files of 2 GB and more, also in a program of 32 bits */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define HASH_BLOCK_BYTES (1 << 16)
#define MAX_NAME_LENGTH 128

ossc_status file_path(const char* directory, const char* name, char* path_out) {
  int length = snprintf(path_out, FILE_PATH_BYTES, "%s/%s", directory, name);
  if (length < 0 || length >= FILE_PATH_BYTES) {
    return fail(OSSC_ERROR_ARGUMENT, "The path of %s is longer than %d bytes; use a shorter one.",
                name, FILE_PATH_BYTES - 1);
  }
  return OSSC_OK;
}

bool file_name_is_valid(const char* name) {
  const char* letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  size_t length = strlen(name);
  return length > 0 && length <= MAX_NAME_LENGTH && strspn(name, letters) == length &&
         name[0] != '.' && name[0] != '-';
}

ossc_status file_open(const char* path, int* descriptor_out, uint64_t* size_out) {
  /* Without O_NONBLOCK the open of a FIFO would wait for a writer. */
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return fail_file("open", path);
  struct stat entry;
  if (fstat(descriptor, &entry) != 0 || !S_ISREG(entry.st_mode)) {
    close(descriptor);
    return fail(OSSC_ERROR_BUNDLE, "%s is not a file; compile the model again.", path);
  }
  *descriptor_out = descriptor;
  *size_out = (uint64_t)entry.st_size;
  return OSSC_OK;
}

void file_close(int descriptor) { close(descriptor); }

/* Reads until the buffer is full or the file ends; -1 on an error. */
static ssize_t read_fully(int descriptor, void* buffer, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t count = read(descriptor, (char*)buffer + done, size - done);
    if (count == 0) break;
    if (count > 0) done += (size_t)count;
    if (count < 0 && errno != EINTR) return -1;
  }
  return (ssize_t)done;
}

static ossc_status read_descriptor(int descriptor, const char* path, size_t size, char** data_out) {
  char* data = malloc(size + 1);
  if (data == NULL) return fail_out_of_memory(path);
  ssize_t count = read_fully(descriptor, data, size);
  if (count != (ssize_t)size) {
    ossc_status status =
        count < 0 ? fail_file("read", path)
                  : fail(OSSC_ERROR_BUNDLE, "%s is cut; copy the bundle again.", path);
    free(data);
    return status;
  }
  data[size] = '\0';
  *data_out = data;
  return OSSC_OK;
}

ossc_status file_read(const char* path, size_t max_size, char** data_out, size_t* size_out) {
  int descriptor;
  uint64_t size;
  ossc_status status = file_open(path, &descriptor, &size);
  if (status != OSSC_OK) return status;
  if (size > max_size) {
    status = fail(OSSC_ERROR_BUNDLE, "%s has more than %zu bytes; compile the model again.", path,
                  max_size);
  } else {
    status = read_descriptor(descriptor, path, (size_t)size, data_out);
  }
  close(descriptor);
  if (status == OSSC_OK) *size_out = (size_t)size;
  return status;
}

static ossc_status hash_descriptor(int descriptor, const char* path, char* buffer, char* hex_out) {
  sha256 hash;
  ssize_t count;
  sha256_begin(&hash);
  while ((count = read_fully(descriptor, buffer, HASH_BLOCK_BYTES)) > 0) {
    sha256_update(&hash, buffer, (size_t)count);
  }
  if (count < 0) return fail_file("read", path);
  sha256_finish(&hash, hex_out);
  return OSSC_OK;
}

ossc_status file_hash(const char* path, char hex_out[SHA256_HEX_LENGTH + 1]) {
  int descriptor;
  uint64_t size;
  ossc_status status = file_open(path, &descriptor, &size);
  if (status != OSSC_OK) return status;
  char* buffer = malloc(HASH_BLOCK_BYTES);
  status = buffer == NULL ? fail_out_of_memory(path)
                          : hash_descriptor(descriptor, path, buffer, hex_out);
  free(buffer);
  close(descriptor);
  return status;
}
