#include "device/cuda/cu_module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "device/cuda/cu_error.h"

#define CUBIN ".cubin"
#define PTX ".ptx"
#define MAX_CODE_BYTES ((size_t)256 << 20)
#define LOG_BYTES 240  /* of a message */
#define NAME_BYTES 160 /* of a file, which has at most 128 */

/* The driver's reason on one line. */
static void join_lines(char* log) {
  size_t length = 0;
  bool blank = false;
  for (const char* next = log; *next != '\0'; ++next) {
    bool is_blank = (unsigned char)*next <= ' ';
    if (!is_blank && blank && length > 0) log[length++] = ' ';
    if (!is_blank) log[length++] = *next;
    blank = is_blank;
  }
  log[length] = '\0';
  if (length == 0) strcpy(log, "no reason was given");
}

static int32_t load_data(const cu_target* t, const char* code, char log_out[LOG_BYTES],
                         cu_module* module_out) {
  const int32_t names[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log_out, (void*)(uintptr_t)(LOG_BYTES - 1)};
  memset(log_out, 0, LOG_BYTES);
  int32_t error = t->cu->cuModuleLoadDataEx(module_out, code, 2, names, values);
  join_lines(log_out);
  return error;
}

/* The architecture that PTX was written for, such as 87; 0: it does not say. */
static int architecture_of(const char* ptx) {
  int architecture = 0;
  const char* line = strstr(ptx, "\n.target sm_");
  if (line != NULL) sscanf(line, "\n.target sm_%d", &architecture);
  return architecture;
}

static ossc_status fail_to_load(const cu_target* t, int32_t error, const char* path,
                                const char* log) {
  if (error == CU_ERROR_UNSUPPORTED_PTX_VERSION) {
    return fail(OSSC_ERROR_MACHINE,
                "The driver of the CUDA device %.64s (%s) is older than %s and cannot compile it; "
                "update the driver, or compile the model for cuda:sm_%d.",
                t->info.name, t->info.driver, path, (int)cu_target_architecture(t));
  }
  return fail(
      OSSC_ERROR_MACHINE,
      "The driver of the CUDA device %.64s (%s) cannot load %s (%s: %s); update the driver, "
      "or choose another device with --device.",
      t->info.name, t->info.driver, path, cu_error_name(t->cu, error), log);
}

static ossc_status compile_ptx(const cu_target* t, const char* path, const char* ptx,
                               cu_module* module_out) {
  char log[LOG_BYTES];
  int has = cu_target_architecture(t), needs = architecture_of(ptx);
  if (has < needs) {
    return fail(OSSC_ERROR_MACHINE,
                "The bundle is for CUDA devices of sm_%d and later, and %.64s is of sm_%d; compile "
                "the model for it, or choose another device with --device.",
                needs, t->info.name, has);
  }
  int32_t error = load_data(t, ptx, log, module_out);
  return error == CU_SUCCESS ? OSSC_OK : fail_to_load(t, error, path, log);
}

/* Whether a driver refuses machine code because it is not the device's. */
static bool is_of_another(int32_t error) {
  return error == CU_ERROR_NO_BINARY_FOR_GPU || error == CU_ERROR_INVALID_IMAGE;
}

static ossc_status load_ptx(const cu_target* t, const char* directory, const char* stem,
                            cu_module* module_out) {
  char name[NAME_BYTES + sizeof(PTX)], path[FILE_PATH_BYTES], *ptx;
  size_t size;
  snprintf(name, sizeof(name), "%s" PTX, stem);
  ossc_status status = file_path(directory, name, path);
  if (status == OSSC_OK) status = file_read(path, MAX_CODE_BYTES, &ptx, &size);
  if (status != OSSC_OK) return status;
  status = compile_ptx(t, path, ptx, module_out);
  free(ptx);
  return status;
}

static ossc_status load_cubin(const cu_target* t, const char* directory, const char* file,
                              bool* is_of_another_out, cu_module* module_out) {
  char path[FILE_PATH_BYTES], log[LOG_BYTES], *cubin;
  size_t size;
  *is_of_another_out = false;
  ossc_status status = file_path(directory, file, path);
  if (status == OSSC_OK) status = file_read(path, MAX_CODE_BYTES, &cubin, &size);
  if (status != OSSC_OK) return status;
  int32_t error = load_data(t, cubin, log, module_out);
  free(cubin);
  *is_of_another_out = is_of_another(error);
  return error == CU_SUCCESS || *is_of_another_out ? OSSC_OK : fail_to_load(t, error, path, log);
}

ossc_status cu_module_load(const cu_target* target, const char* directory, const char* file,
                           cu_module* module_out) {
  char stem[NAME_BYTES];
  size_t length = strlen(file), ending = strlen(CUBIN);
  bool other;
  if (length <= ending || strcmp(file + length - ending, CUBIN) != 0) {
    return fail(OSSC_ERROR_BUNDLE,
                "The code of the plan is %.128s, and a CUDA device runs *" CUBIN
                " alone; compile the model again.",
                file);
  }
  snprintf(stem, sizeof(stem), "%.*s", (int)(length - ending), file);
  ossc_status status = load_cubin(target, directory, file, &other, module_out);
  return other ? load_ptx(target, directory, stem, module_out) : status;
}
