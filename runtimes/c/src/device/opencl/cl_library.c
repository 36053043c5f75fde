#define _POSIX_C_SOURCE 200809L /* getpid */
#include "device/opencl/cl_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/error.h"

static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static cl_api loaded;
static _Atomic pid_t loaded_by; /* 0: not loaded */

static const char* named_library(void) {
  const char* name = getenv(CL_LIBRARY_VARIABLE);
  return name == NULL || name[0] == '\0' ? NULL : name;
}

static void* open_library(void) {
  const char* name = named_library();
  if (name != NULL) return dlopen(name, RTLD_NOW | RTLD_LOCAL);
  void* library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
  return library == NULL ? dlopen("libOpenCL.so", RTLD_NOW | RTLD_LOCAL) : library;
}

static ossc_status fail_to_open(void) {
  const char* reason = dlerror();
  const char* advice = named_library() == NULL
                           ? "install the OpenCL driver of the device, or name its library in "
                             CL_LIBRARY_VARIABLE
                           : "unset " CL_LIBRARY_VARIABLE ", or name the library of a driver in it";
  return fail(OSSC_ERROR_MACHINE, "OpenCL cannot be loaded (%.200s); %s.",
              reason == NULL ? "unknown reason" : reason, advice);
}

/* The standard's way around function pointers that are no pointers. */
static bool find(void* library, const char* name, void* function_out) {
  *(void**)function_out = dlsym(library, name);
  return *(void**)function_out != NULL;
}

/* The name of a function that the library lacks; NULL: it has all. */
static const char* find_all(void* library, cl_api* api) {
#define CL_FIND(result, name, parameters) \
  if (!find(library, #name, &api->name)) return #name;
  CL_FUNCTIONS(CL_FIND)
#undef CL_FIND
  return NULL;
}

static ossc_status load(void) {
  void* library = open_library();
  if (library == NULL) return fail_to_open();
  const char* lacking = find_all(library, &loaded);
  if (lacking == NULL) {
    loaded_by = getpid();
    return OSSC_OK;
  }
  dlclose(library);
  return fail(OSSC_ERROR_MACHINE,
              "The OpenCL library lacks %s, which is of OpenCL 1.2; install a newer one, or name "
              "it in " CL_LIBRARY_VARIABLE ".",
              lacking);
}

bool cl_library_is_lost(void) { return loaded_by != 0 && loaded_by != getpid(); }

ossc_status cl_library_load(const cl_api** api_out) {
  if (cl_library_is_lost()) {
    return fail(OSSC_ERROR_MACHINE,
                "OpenCL was in use before this process was forked, and works in its parent alone; "
                "open the bundle in a new process.");
  }
  pthread_mutex_lock(&loading);
  ossc_status status = loaded_by != 0 ? OSSC_OK : load();
  pthread_mutex_unlock(&loading);
  *api_out = &loaded;
  return status;
}
