#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "measure/measured_call.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/answer.h"
#include "base/error.h"

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void* copy(const void* data, size_t size_bytes) {
  void* copied = malloc(size_bytes + 1);
  if (copied != NULL) memcpy(copied, data, size_bytes);
  return copied;
}

static ossc_status keep_times(const call_setting* setting, measured_call* call) {
  ossc_step_times times;
  ossc_status status = ossc_session_step_times(setting->session, &times);
  if (status != OSSC_OK) return status;
  size_t row_bytes = 2 * (size_t)times.threads * sizeof(int64_t);
  call->times = times;
  call->times.steps = copy(times.steps, times.count * sizeof(ossc_step_time));
  call->times.thread_ns = copy(times.thread_ns, times.count * row_bytes);
  bool kept = call->times.steps != NULL && call->times.thread_ns != NULL;
  return kept ? OSSC_OK : fail_out_of_memory("the times of the steps");
}

static size_t routing_values(const call_setting* setting, const measured_call* call) {
  return (size_t)setting->info.num_router_layers * call->num_tokens *
         (size_t)setting->info.num_experts_per_tok;
}

static ossc_status keep_routing(const call_setting* setting, measured_call* call) {
  const int32_t* indices;
  ossc_status status = ossc_session_router_indices(setting->session, &indices, &call->num_tokens);
  if (status != OSSC_OK) return status;
  call->routing = copy(indices, routing_values(setting, call) * sizeof(int32_t));
  return call->routing == NULL ? fail_out_of_memory("the chosen experts") : OSSC_OK;
}

ossc_status measured_call_run(const call_setting* setting, const int32_t* token_ids, size_t count,
                              measured_call* call_out) {
  *call_out = (measured_call){0};
  double start = now_s();
  ossc_status status = ossc_session_prefill(setting->session, token_ids, count, setting->logits);
  call_out->seconds = now_s() - start;
  if (status == OSSC_OK && setting->times) status = keep_times(setting, call_out);
  if (status == OSSC_OK && setting->routing) status = keep_routing(setting, call_out);
  if (status != OSSC_OK) return status;
  return ossc_sampler_sample(setting->sampler, setting->logits, (size_t)setting->info.vocab_size,
                             &call_out->argmax);
}

typedef enum step_field { SEGMENT, STEP, NUM_TOKENS, NANOSECONDS } step_field;

static long long field_of(const ossc_step_time* step, step_field field) {
  if (field == SEGMENT) return step->segment;
  if (field == STEP) return step->step;
  return field == NUM_TOKENS ? step->num_tokens : (long long)(step->end_ns - step->begin_ns);
}

static void print_field(const ossc_step_times* times, const char* name, step_field field,
                        FILE* answer) {
  fprintf(answer, ",\"%s\":[", name);
  for (size_t i = 0; i < times->count; ++i) {
    fprintf(answer, "%s%lld", i == 0 ? "" : ",", field_of(&times->steps[i], field));
  }
  fputc(']', answer);
}

void measured_call_print_times(const measured_call* call, FILE* answer) {
  const ossc_step_times* times = &call->times;
  int64_t begin_ns = times->steps[0].begin_ns;
  fprintf(answer, "{\"begin_ns\":%lld", (long long)begin_ns);
  print_field(times, "segment", SEGMENT, answer);
  print_field(times, "step", STEP, answer);
  print_field(times, "num_tokens", NUM_TOKENS, answer);
  print_field(times, "ns", NANOSECONDS, answer);
  fputs(",\"thread_ns\":[", answer);
  for (size_t i = 0; i < times->count * 2 * (size_t)times->threads; ++i) {
    int64_t ns = times->thread_ns[i];
    fprintf(answer, "%s%lld", i == 0 ? "" : ",", ns == 0 ? 0 : (long long)(ns - begin_ns));
  }
  fputs("]}", answer);
}

void measured_call_print_routing(const call_setting* setting, const measured_call* call,
                                 FILE* answer) {
  answer_integers(answer, call->routing, routing_values(setting, call));
}

void measured_call_free(measured_call* call) {
  free((void*)call->times.steps);
  free((void*)call->times.thread_ns);
  free(call->routing);
  *call = (measured_call){0};
}
