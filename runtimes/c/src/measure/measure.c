#define _POSIX_C_SOURCE 200809L /* clock_gettime, open_memstream */
#include "measure/measure.h"

#include <stdlib.h>
#include <time.h>

#include "base/answer.h"
#include "base/command_line.h"
#include "base/error.h"
#include "exec/model.h"
#include "measure/measure_commands.h"

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static ossc_status open_bundle(const run_options* options, measurement* m) {
  ossc_model_options model_options = {.weights_mode = options->weights_mode,
                                      .device = options->device,
                                      .kv_type = options->kv_type};
  ossc_sampler_options greedy = {.temperature = 0, .top_p = 1};
  call_setting* s = &m->setting;
  double start = now_s();
  ossc_status status = ossc_model_open(options->bundle, &model_options, &m->model);
  if (status == OSSC_OK) status = ossc_model_get_info(m->model, &s->info);
  if (status == OSSC_OK) status = measurement_start_session(m, options->threads);
  m->load_s = now_s() - start;
  if (status == OSSC_OK) status = ossc_sampler_create(&greedy, &s->sampler);
  if (status != OSSC_OK) return status;
  s->logits = calloc((size_t)s->info.vocab_size, sizeof(float));
  return s->logits == NULL ? fail_out_of_memory("the logits") : OSSC_OK;
}

static void close_bundle(measurement* m) {
  measurement_close_prober(m);
  free(m->setting.logits);
  ossc_sampler_destroy(m->setting.sampler);
  ossc_session_destroy(m->setting.session);
  ossc_model_close(m->model);
}

static void print_text(const char* name, const char* text) {
  printf("\"%s\":", name);
  answer_text(stdout, text);
  putchar(',');
}

static const char* boolean(bool value) { return value ? "true" : "false"; }

static void print_device(const device* d) {
  const ossc_device_info* info = &d->info;
  printf(",\"device\":{");
  print_text("kind", info->kind);
  printf("\"index\":%d,", (int)info->index);
  print_text("platform", info->platform);
  print_text("name", info->name);
  print_text("type", info->type);
  print_text("driver", info->driver);
  printf("\"memory_bytes\":%llu,", (unsigned long long)info->memory_bytes);
  printf("\"shares_memory\":%s,", boolean(info->shares_memory));
  printf("\"has_probes\":%s}", boolean(d->api->open_prober != NULL));
}

static void print_hello(const measurement* m) {
  const ossc_model_info* info = &m->setting.info;
  printf("{\"protocol\":%d,\"load_s\":%.9f,\"threads\":%d,", MEASURE_PROTOCOL, m->load_s,
         (int)measurement_threads(m));
  printf("\"weights_bytes\":%llu,\"state_bytes\":%llu,\"arena_bytes\":%llu,\"target\":",
         (unsigned long long)info->weights_bytes, (unsigned long long)info->state_bytes,
         (unsigned long long)info->arena_bytes);
  answer_text(stdout, info->target);
  fputs(",\"instruction_set\":", stdout);
  answer_text(stdout, m->model->device->instruction_set);
  print_device(m->model->device);
  puts("}");
  fflush(stdout);
}

static void observe_memory(measurement* m) {
  ossc_process_memory memory;
  if (ossc_get_process_memory(&memory) != OSSC_OK) return;
  if (memory.anonymous_bytes > m->peak_anonymous_bytes) {
    m->peak_anonymous_bytes = memory.anonymous_bytes;
  }
}

static void print_error(void) {
  fputs("{\"error\":", stdout);
  answer_text(stdout, ossc_last_error());
  puts("}");
}

/* Composes the answer in memory: it is either complete, or an error. */
static void obey(measurement* m, char* line) {
  char* text = NULL;
  size_t size = 0;
  FILE* answer = open_memstream(&text, &size);
  ossc_status status = answer == NULL ? fail_out_of_memory("an answer") : OSSC_OK;
  if (status == OSSC_OK) {
    status = measure_command(m, line, answer);
    if (status == OSSC_OK) observe_memory(m);
    bool complete = fclose(answer) == 0;
    if (status == OSSC_OK && !complete) status = fail_out_of_memory("an answer");
  }
  if (status == OSSC_OK) {
    fwrite(text, 1, size, stdout);
    puts("");
  } else {
    print_error();
  }
  free(text);
}

static void obey_all(measurement* m) {
  command_line line = {0};
  for (bool end = false; !ferror(stdout);) {
    ossc_status status = command_line_read(stdin, &line, &end);
    if (end) break;
    if (status == OSSC_OK) {
      obey(m, line.text);
    } else {
      print_error();
    }
    fflush(stdout);
  }
  command_line_free(&line);
}

ossc_status measure(const run_options* options) {
  measurement m = {0};
  ossc_status status = open_bundle(options, &m);
  if (status == OSSC_OK) {
    observe_memory(&m);
    print_hello(&m);
    obey_all(&m);
  }
  close_bundle(&m);
  return status;
}
