#define _POSIX_C_SOURCE 200809L /* getpid */
#include "device/cuda/cu_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "device/cuda/cu_error.h"

#define LIBRARY_NAME "libcuda.so.1"

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static cu_api loaded;
static pid_t loaded_by; /* 0: not loaded */

static const char* named_library(void) {
  const char* name = getenv(CU_LIBRARY_VARIABLE);
  return name == NULL || name[0] == '\0' ? NULL : name;
}

static ossc_status fail_to_open(void) {
  const char* reason = dlerror();
  const char* advice = named_library() == NULL
                           ? "install NVIDIA's driver, or name its library in " CU_LIBRARY_VARIABLE
                           : "unset " CU_LIBRARY_VARIABLE ", or name the library of a driver in it";
  return fail(OSSC_ERROR_MACHINE, "CUDA cannot be loaded (%.200s); %s.",
              reason == NULL ? "unknown reason" : reason, advice);
}

/* The standard's way around function pointers that are no pointers. */
static bool find(void* library, const char* name, void* function_out) {
  *(void**)function_out = dlsym(library, name);
  return *(void**)function_out != NULL;
}

/* The name of a function that the library lacks; NULL: it has all. */
static const char* find_all(void* library, cu_api* api) {
#define CU_FIND(result, name, parameters) \
  if (!find(library, #name, &api->name)) return #name;
  CU_FUNCTIONS(CU_FIND)
#undef CU_FIND
  return NULL;
}

static ossc_status initialize(void) {
  int32_t error = loaded.cuInit(0);
  if (error == CU_SUCCESS || error == CU_ERROR_NO_DEVICE) return OSSC_OK;
  return fail(OSSC_ERROR_MACHINE,
              "NVIDIA's driver does not start (%s, %d); see that nvidia-smi works here, or run a "
              "bundle that was compiled for a CPU.",
              cu_error_name(&loaded, error), (int)error);
}

static ossc_status load(void) {
  const char* name = named_library();
  void* library = dlopen(name == NULL ? LIBRARY_NAME : name, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return fail_to_open();
  const char* lacking = find_all(library, &loaded);
  ossc_status status;
  if (lacking == NULL) {
    status = initialize();
  } else {
    status =
        fail(OSSC_ERROR_MACHINE,
             "NVIDIA's driver lacks %s, which is of CUDA 12; install a newer driver.", lacking);
  }
  if (status == OSSC_OK) {
    loaded_by = getpid();
  } else {
    dlclose(library);
  }
  return status;
}

bool cu_library_is_lost(void) { return loaded_by != 0 && loaded_by != getpid(); }

ossc_status cu_library_load(const cu_api** api_out) {
  if (cu_library_is_lost()) {
    return fail(OSSC_ERROR_MACHINE,
                "CUDA was in use before this process was forked, and works in its parent alone; "
                "open the bundle in a new process.");
  }
  pthread_mutex_lock(&loading);
  ossc_status status = loaded_by != 0 ? OSSC_OK : load();
  pthread_mutex_unlock(&loading);
  *api_out = &loaded;
  return status;
}
