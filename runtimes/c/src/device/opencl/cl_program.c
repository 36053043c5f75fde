#include "device/opencl/cl_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "device/opencl/cl_error.h"
#include "device/opencl/program_cache.h"

#define OPTIONS "-cl-std=CL1.2"
#define MAX_CODE_BYTES ((size_t)64 << 20)
#define MAX_LOG_BYTES 240 /* of a message */

/* Code, and the device that it is built for. */
typedef struct build {
  const cl_target* target;
  const char* name; /* of the file, or of what is in none */
  const char* code;
  size_t size;
  program_key key;
} build;

/* Every text with its NUL, so that no two lists of texts are alike. */
static void compute_key(build* b) {
  const ossc_device_info* info = &b->target->info;
  const char* const texts[] = {OPTIONS, info->platform, info->name, info->driver};
  sha256 hash;
  sha256_begin(&hash);
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); ++i) {
    sha256_update(&hash, texts[i], strlen(texts[i]) + 1);
  }
  sha256_update(&hash, b->code, b->size);
  sha256_finish(&hash, b->key);
}

/* The driver's log on one line, cut to what a message holds. */
static void read_log(const build* b, cl_program program, char log_out[MAX_LOG_BYTES]) {
  const cl_target* t = b->target;
  size_t size = 0, length = 0;
  strcpy(log_out, "no reason was given");
  t->cl->clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
  char* log = calloc(size + 1, 1);
  if (log == NULL) return;
  t->cl->clGetProgramBuildInfo(program, t->device, CL_PROGRAM_BUILD_LOG, size, log, NULL);
  for (const char* word = strtok(log, " \t\r\n"); word != NULL; word = strtok(NULL, " \t\r\n")) {
    size_t added = strlen(word) + (length > 0);
    if (length + added >= MAX_LOG_BYTES) break;
    snprintf(log_out + length, MAX_LOG_BYTES - length, "%s%s", length > 0 ? " " : "", word);
    length += added;
  }
  free(log);
}

static ossc_status compile(const build* b, cl_program program) {
  const cl_target* t = b->target;
  char log[MAX_LOG_BYTES];
  int32_t error = t->cl->clBuildProgram(program, 1, &t->device, OPTIONS, NULL, NULL);
  if (error == CL_SUCCESS) return OSSC_OK;
  read_log(b, program, log);
  return fail(OSSC_ERROR_MACHINE,
              "The driver of the OpenCL device %.64s cannot build %s (%s: %s); update the driver, "
              "or choose another device with --device.",
              t->info.name, b->name, cl_error_name(error), log);
}

/* The user waits for it, for seconds or for a minute. */
static void say_that_it_is_built(const build* b) {
  const char* times = program_cache_is_on() ? "once; later it comes from the cache" : "each time";
  fprintf(stderr, "ossc: The driver of %.64s builds %s, %s.\n", b->target->info.name, b->name,
          times);
}

static ossc_status from_source(const build* b, cl_program* program_out) {
  const cl_target* t = b->target;
  const char* code = b->code;
  int32_t error;
  say_that_it_is_built(b);
  *program_out = t->cl->clCreateProgramWithSource(t->context, 1, &code, &b->size, &error);
  ossc_status status = cl_check(error, t->info.name, "take the kernels");
  return status == OSSC_OK ? compile(b, *program_out) : status;
}

/* Whether the driver takes back what it made; a driver that was changed without a new version
 * does not. */
static bool from_cache(const build* b, cl_program* program_out) {
  const cl_target* t = b->target;
  size_t size;
  int32_t error, accepted = CL_SUCCESS;
  uint8_t* data = program_cache_load(b->key, &size);
  if (data == NULL) return false;
  const uint8_t* binary = data;
  *program_out = t->cl->clCreateProgramWithBinary(t->context, 1, &t->device, &size, &binary,
                                                  &accepted, &error);
  free(data);
  if (error == CL_SUCCESS && accepted == CL_SUCCESS &&
      t->cl->clBuildProgram(*program_out, 1, &t->device, OPTIONS, NULL, NULL) == CL_SUCCESS) {
    return true;
  }
  if (*program_out != NULL) t->cl->clReleaseProgram(*program_out);
  *program_out = NULL;
  return false;
}

/* Drivers that keep their binaries to themselves say that they have 0 bytes. Others first make what
 * they would make when a kernel is launched: PoCL takes ten times as long as for the build. */
static void to_cache(const build* b, cl_program program) {
  const cl_api* cl = b->target->cl;
  size_t size = 0;
  if (!program_cache_is_on()) return;
  int32_t error = cl->clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, NULL);
  if (error != CL_SUCCESS || size == 0) return;
  uint8_t* data = malloc(size);
  if (data == NULL) return;
  error = cl->clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(data), &data, NULL);
  if (error == CL_SUCCESS) program_cache_store(b->key, data, size);
  free(data);
}

static ossc_status build_code(build* b, cl_program* program_out) {
  *program_out = NULL;
  compute_key(b);
  if (from_cache(b, program_out)) return OSSC_OK;
  ossc_status status = from_source(b, program_out);
  if (status == OSSC_OK) {
    to_cache(b, *program_out);
  } else if (*program_out != NULL) {
    b->target->cl->clReleaseProgram(*program_out);
    *program_out = NULL;
  }
  return status;
}

ossc_status cl_program_build(const cl_target* target, const char* path, cl_program* program_out) {
  build b = {.target = target, .name = strrchr(path, '/') + 1};
  char* code;
  ossc_status status = file_read(path, MAX_CODE_BYTES, &code, &b.size);
  if (status != OSSC_OK) return status;
  b.code = code;
  status = build_code(&b, program_out);
  free(code);
  return status;
}

ossc_status cl_program_build_code(const cl_target* target, const char* name, const char* code,
                                  cl_program* program_out) {
  build b = {.target = target, .name = name, .code = code, .size = strlen(code)};
  return build_code(&b, program_out);
}
