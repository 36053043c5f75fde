/* Every call of a driver fails once: test_opencl_faults BUNDLE CACHE, with OSSC_OPENCL_LIBRARY
 * naming faulty_opencl. A failure is one sentence, leaves nothing behind, and the next attempt
 * works. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "device/opencl/cl_library.h"
#include "device/prober.h"

enum { VOCAB = 40, OUT_OF_RESOURCES = -5, INVALID_QUEUE = -36 };

static const int32_t ids[] = {5, 1, 30, 30, 2};
static float expected[2][VOCAB];

/* The variables of faulty_opencl. */
static struct {
  char* function;
  int* countdown;
  int32_t* error;
  int* shares_memory;
  int* fired;
  int* objects;
} faulty;

static void* find(void* library, const char* name) {
  void* place = dlsym(library, name);
  CHECK(place != NULL);
  return place;
}

static void find_faulty(void) {
  void* library = dlopen(getenv(CL_LIBRARY_VARIABLE), RTLD_NOW);
  CHECK(library != NULL);
  faulty.function = find(library, "faulty_function");
  faulty.countdown = find(library, "faulty_countdown");
  faulty.error = find(library, "faulty_error");
  faulty.shares_memory = find(library, "faulty_shares_memory");
  faulty.fired = find(library, "faulty_fired");
  faulty.objects = find(library, "faulty_objects");
}

static ossc_status run_session(ossc_model* model, float logits_out[2][VOCAB]) {
  ossc_session* session = NULL;
  ossc_status status = ossc_session_create(model, NULL, &session);
  if (status == OSSC_OK) status = ossc_session_prefill(session, ids, 5, logits_out[0]);
  if (status == OSSC_OK) status = ossc_session_record_times(session, true);
  if (status == OSSC_OK) status = ossc_session_decode(session, 7, logits_out[1]);
  ossc_session_destroy(session);
  return status;
}

static ossc_status run_bundle(const char* directory, float logits_out[2][VOCAB]) {
  const ossc_model_options options = {.device = "opencl"};
  ossc_model* model = NULL;
  ossc_status status = ossc_model_open(directory, &options, &model);
  CHECK((status == OSSC_OK) == (model != NULL));
  if (status == OSSC_OK) status = run_session(model, logits_out);
  ossc_model_close(model);
  CHECK(*faulty.objects == 0);
  return status;
}

static void check_logits(float logits[2][VOCAB]) {
  for (int i = 0; i < VOCAB; ++i) {
    CHECK(fabsf(logits[0][i] - expected[0][i]) < 1e-5f);
    CHECK(fabsf(logits[1][i] - expected[1][i]) < 1e-5f);
  }
}

static void check_sentence(ossc_status status, int32_t error) {
  const char* name = error == INVALID_QUEUE ? "CL_INVALID_COMMAND_QUEUE" : "CL_OUT_OF_RESOURCES";
  CHECK(status == OSSC_ERROR_MACHINE || status == OSSC_ERROR_MEMORY || status == OSSC_ERROR_BUNDLE);
  CHECK(strstr(ossc_last_error(), name) != NULL);
  CHECK(strchr(ossc_last_error(), '\n') == NULL);
}

/* Lets the call number `place` of a function fail; false: there were not so many. */
static bool fail_call(const char* directory, const char* function, int place, int32_t error) {
  float logits[2][VOCAB];
  strcpy(faulty.function, function);
  *faulty.countdown = place;
  *faulty.error = error;
  *faulty.fired = 0;
  ossc_status status = run_bundle(directory, logits);
  faulty.function[0] = '\0';
  if (status == OSSC_OK) check_logits(logits); /* there was another way, or nothing to fail */
  if (status != OSSC_OK) check_sentence(status, error);
  return *faulty.fired;
}

/* The first calls one by one, then ever fewer of them. */
static void fail_each_call(const char* directory, const char* function) {
  int count = 0, place = 0;
  for (; fail_call(directory, function, place, INVALID_QUEUE); place += 1 + place / 4) {
    fail_call(directory, function, place, OUT_OF_RESOURCES);
    ++count;
  }
  CHECK(count > 0);
}

static void fail_all(const char* directory) {
  static const char* const functions[] = {
      "clCreateContext",        "clCreateCommandQueue", "clCreateKernel",
      "clCreateBuffer",         "clCreateSubBuffer",    "clSetKernelArg",
      "clFlush",                "clFinish",             "clEnqueueMarkerWithWaitList",
      "clEnqueueNDRangeKernel", "clEnqueueReadBuffer",  "clEnqueueWriteBuffer",
      "clEnqueueCopyBuffer",    "clEnqueueFillBuffer",  "clCreateProgramWithBinary",
      "clBuildProgram",
  };
  float logits[2][VOCAB];
  for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); ++i) {
    fail_each_call(directory, functions[i]);
  }
  CHECK(run_bundle(directory, logits) == OSSC_OK);
  check_logits(logits);
}

static ossc_status run_probe(void) {
  device_prober* prober = NULL;
  probe_result result = {0};
  ossc_status status = device_prober_open("opencl", &prober);
  if (status == OSSC_OK) status = prober->run(prober, "read", 1 << 14, &result);
  CHECK(status != OSSC_OK || result.value > 0);
  if (prober != NULL) prober->close(prober);
  CHECK(*faulty.objects == 0);
  return status;
}

/* The first call alone: a probe makes thousands of the same. */
static void fail_probe(const char* function) {
  strcpy(faulty.function, function);
  *faulty.countdown = 0;
  *faulty.error = INVALID_QUEUE;
  ossc_status status = run_probe();
  faulty.function[0] = '\0';
  check_sentence(status, INVALID_QUEUE);
}

static void fail_probes(void) {
  static const char* const functions[] = {
      "clCreateContext",        "clCreateCommandQueue",        "clCreateKernel",
      "clCreateBuffer",         "clSetKernelArg",              "clFinish",
      "clEnqueueNDRangeKernel", "clEnqueueMarkerWithWaitList", "clEnqueueCopyBuffer",
      "clEnqueueFillBuffer",
  };
  for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); ++i) fail_probe(functions[i]);
  CHECK(run_probe() == OSSC_OK);
}

int main(int argc, char** argv) {
  CHECK(argc == 3);
  find_faulty();
  setenv("OSSC_CACHE_DIR", "none", 1);
  CHECK(run_bundle(argv[1], expected) == OSSC_OK);
  fail_each_call(argv[1], "clCreateProgramWithSource");
  fail_each_call(argv[1], "clBuildProgram");
  setenv("OSSC_CACHE_DIR", argv[2], 1);
  fail_each_call(argv[1], "clGetProgramInfo");
  fail_all(argv[1]);
  *faulty.shares_memory = 0;
  fail_all(argv[1]);
  fail_probes();
  return 0;
}
