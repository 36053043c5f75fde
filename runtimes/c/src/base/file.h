/* Files of a bundle: reading, hashing, mapping. */
#ifndef OSSC_FILE_H_
#define OSSC_FILE_H_

#include "base/sha256.h"
#include "ossc.h"

#define FILE_PATH_BYTES 4096

/* directory/name, in a buffer of FILE_PATH_BYTES. */
ossc_status file_path(const char* directory, const char* name, char* path_out);

/* [A-Za-z0-9_][A-Za-z0-9._-]{0,127}, so that the file is in the bundle's directory. */
bool file_name_is_valid(const char* name);

/* Opens a regular file for reading. */
ossc_status file_open(const char* path, int* descriptor_out, uint64_t* size_out);

void file_close(int descriptor);

/* The whole file, with a NUL behind it; the caller frees data_out. One larger than max_size is an
 * error. */
ossc_status file_read(const char* path, size_t max_size, char** data_out, size_t* size_out);

ossc_status file_hash(const char* path, char hex_out[SHA256_HEX_LENGTH + 1]);

#endif /* OSSC_FILE_H_ */
