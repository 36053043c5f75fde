#define _POSIX_C_SOURCE 200809L /* strdup */
#include "measure/measure_commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/command_line.h"
#include "base/cpu_time.h"
#include "base/error.h"
#include "base/parse.h"
#include "device/threads.h"
#include "measure/machine.h"
#include "measure/probes.h"

ossc_status measurement_start_session(measurement* m, int32_t threads) {
  call_setting* s = &m->setting;
  ossc_session_options options = {.threads = threads, .record_routing = s->routing};
  ossc_session* session;
  ossc_status status = ossc_session_create(m->model, &options, &session);
  if (status != OSSC_OK) return status;
  ossc_session_record_times(session, s->times);
  ossc_session_destroy(s->session);
  s->session = session;
  return OSSC_OK;
}

int32_t measurement_threads(const measurement* m) {
  int32_t threads = 0;
  ossc_session_threads(m->setting.session, &threads);
  return threads;
}

/* Refuses words that the command does not take. */
static ossc_status check_end(char* rest) {
  const char* surplus = command_line_word(&rest);
  if (*surplus == '\0') return OSSC_OK;
  return fail(OSSC_ERROR_ARGUMENT, "\"%.32s\" is one word too many; leave it out.", surplus);
}

/* The one integer that a command takes. */
static ossc_status parse_argument(char* rest, const char* name, int32_t* value_out) {
  int64_t value;
  ossc_status status = parse_integer(name, command_line_word(&rest), 0, INT32_MAX, &value);
  if (status == OSSC_OK) status = check_end(rest);
  if (status == OSSC_OK) *value_out = (int32_t)value;
  return status;
}

static ossc_status parse_switch(char* rest, bool* on_out) {
  const char* word = command_line_word(&rest);
  *on_out = strcmp(word, "on") == 0;
  if (*on_out || strcmp(word, "off") == 0) return check_end(rest);
  return fail(OSSC_ERROR_ARGUMENT, "\"%.32s\" is neither on nor off.", word);
}

/* token_ids_out: the caller frees them, also on failure. */
static ossc_status parse_token_ids(char* rest, int32_t** token_ids_out, size_t* count_out) {
  size_t count = 0;
  int32_t* token_ids = malloc((strlen(rest) / 2 + 1) * sizeof(int32_t));
  *token_ids_out = token_ids;
  if (token_ids == NULL) return fail_out_of_memory("the tokens");
  for (char* word = command_line_word(&rest); *word != '\0'; word = command_line_word(&rest)) {
    int64_t value;
    ossc_status status = parse_integer("A token id", word, 0, INT32_MAX, &value);
    if (status != OSSC_OK) return status;
    token_ids[count++] = (int32_t)value;
  }
  *count_out = count;
  return OSSC_OK;
}

static ossc_status answer_threads(measurement* m, char* rest, FILE* answer) {
  int32_t threads;
  ossc_status status = parse_argument(rest, "The number of threads", &threads);
  if (status == OSSC_OK) status = measurement_start_session(m, threads);
  if (status == OSSC_OK) fprintf(answer, "{\"threads\":%d}", (int)measurement_threads(m));
  return status;
}

static ossc_status answer_reset(measurement* m, char* rest, FILE* answer) {
  ossc_status status = check_end(rest);
  if (status == OSSC_OK) status = ossc_session_reset(m->setting.session);
  if (status == OSSC_OK) fputs("{\"position\":0}", answer);
  return status;
}

static ossc_status answer_fill(measurement* m, char* rest, FILE* answer) {
  int32_t position;
  ossc_status status = parse_argument(rest, "The position", &position);
  if (status == OSSC_OK) status = ossc_session_fill(m->setting.session, position);
  if (status == OSSC_OK) fprintf(answer, "{\"position\":%d}", (int)position);
  return status;
}

static ossc_status answer_times(measurement* m, char* rest, FILE* answer) {
  bool on;
  ossc_status status = parse_switch(rest, &on);
  if (status == OSSC_OK) status = ossc_session_record_times(m->setting.session, on);
  if (status != OSSC_OK) return status;
  m->setting.times = on;
  fprintf(answer, "{\"times\":%s}", on ? "true" : "false");
  return OSSC_OK;
}

static ossc_status answer_routing(measurement* m, char* rest, FILE* answer) {
  bool on;
  ossc_status status = parse_switch(rest, &on);
  if (status == OSSC_OK) status = ossc_session_record_routing(m->setting.session, on);
  if (status != OSSC_OK) return status;
  m->setting.routing = on;
  fprintf(answer, "{\"routing\":%s}", on ? "true" : "false");
  return OSSC_OK;
}

/* Time that threads of this process waited for a CPU since `before`; those that others had. */
static double waited_since(cpu_time before) {
  return cpu_time_of_process().waited_s - before.waited_s;
}

static ossc_status run_prefill(measurement* m, const int32_t* token_ids, size_t count,
                               FILE* answer) {
  const call_setting* s = &m->setting;
  measured_call call;
  cpu_time before = cpu_time_of_process();
  ossc_status status = measured_call_run(s, token_ids, count, &call);
  double waited_s = waited_since(before);
  if (status == OSSC_OK) {
    fprintf(answer, "{\"seconds\":%.9f,\"argmax\":%d,\"waited_s\":%.6f", call.seconds,
            (int)call.argmax, waited_s);
    if (s->times) fputs(",\"times\":", answer);
    if (s->times) measured_call_print_times(&call, answer);
    if (s->routing) fputs(",\"routing\":", answer);
    if (s->routing) measured_call_print_routing(s, &call, answer);
    fputs("}", answer);
  }
  measured_call_free(&call);
  return status;
}

static ossc_status answer_prefill(measurement* m, char* rest, FILE* answer) {
  int32_t* token_ids;
  size_t count;
  ossc_status status = parse_token_ids(rest, &token_ids, &count);
  if (status == OSSC_OK) status = run_prefill(m, token_ids, count, answer);
  free(token_ids);
  return status;
}

/* Refuses tokens that cannot all be run, before any is. */
static ossc_status check_tokens(const measurement* m, const int32_t* token_ids, size_t count) {
  const ossc_model_info* info = &m->setting.info;
  int32_t position = 0;
  ossc_session_position(m->setting.session, &position);
  if (count == 0) return fail(OSSC_ERROR_ARGUMENT, "No tokens were given; give at least one.");
  if (count > (size_t)(info->context - position)) {
    return fail(OSSC_ERROR_CONTEXT, "%zu tokens at position %d do not fit into the context of %d.",
                count, (int)position, (int)info->context);
  }
  for (size_t i = 0; i < count; ++i) {
    if (token_ids[i] >= info->vocab_size) {
      return fail(OSSC_ERROR_ARGUMENT, "Token id %d is not in the vocabulary of %d.",
                  (int)token_ids[i], (int)info->vocab_size);
    }
  }
  return OSSC_OK;
}

static void print_decode(const call_setting* s, const measured_call* calls, size_t count,
                         double waited_s, FILE* answer) {
  fputs("{\"seconds\":[", answer);
  for (size_t i = 0; i < count; ++i) {
    fprintf(answer, "%s%.9f", i == 0 ? "" : ",", calls[i].seconds);
  }
  fputs("],\"argmax\":[", answer);
  for (size_t i = 0; i < count; ++i) {
    fprintf(answer, "%s%d", i == 0 ? "" : ",", (int)calls[i].argmax);
  }
  fputc(']', answer);
  for (size_t i = 0; s->times && i < count; ++i) {
    fputs(i == 0 ? ",\"times\":[" : ",", answer);
    measured_call_print_times(&calls[i], answer);
  }
  if (s->times) fputc(']', answer);
  for (size_t i = 0; s->routing && i < count; ++i) {
    fputs(i == 0 ? ",\"routing\":[" : ",", answer);
    measured_call_print_routing(s, &calls[i], answer);
  }
  if (s->routing) fputc(']', answer);
  fprintf(answer, ",\"waited_s\":%.6f}", waited_s);
}

static ossc_status run_decode(measurement* m, const int32_t* token_ids, size_t count,
                              FILE* answer) {
  const call_setting* s = &m->setting;
  measured_call* calls = calloc(count, sizeof(measured_call));
  ossc_status status = calls == NULL ? fail_out_of_memory("the calls") : OSSC_OK;
  cpu_time before = cpu_time_of_process();
  for (size_t i = 0; status == OSSC_OK && i < count; ++i) {
    status = measured_call_run(s, &token_ids[i], 1, &calls[i]);
  }
  double waited_s = waited_since(before);
  if (status == OSSC_OK) print_decode(s, calls, count, waited_s, answer);
  for (size_t i = 0; calls != NULL && i < count; ++i) measured_call_free(&calls[i]);
  free(calls);
  return status;
}

static ossc_status answer_decode(measurement* m, char* rest, FILE* answer) {
  int32_t* token_ids;
  size_t count;
  ossc_status status = parse_token_ids(rest, &token_ids, &count);
  if (status == OSSC_OK) status = check_tokens(m, token_ids, count);
  if (status == OSSC_OK) status = run_decode(m, token_ids, count, answer);
  free(token_ids);
  return status;
}

static ossc_status answer_memory(measurement* m, char* rest, FILE* answer) {
  ossc_process_memory memory;
  ossc_status status = check_end(rest);
  if (status == OSSC_OK) status = ossc_get_process_memory(&memory);
  if (status != OSSC_OK) return status;
  fprintf(answer, "{\"peak_rss_bytes\":%llu,\"anonymous_bytes\":%llu,",
          (unsigned long long)memory.peak_rss_bytes, (unsigned long long)memory.anonymous_bytes);
  fprintf(answer, "\"peak_anonymous_bytes\":%llu,\"mapped_bytes\":%llu}",
          (unsigned long long)m->peak_anonymous_bytes, (unsigned long long)memory.mapped_bytes);
  return OSSC_OK;
}

static ossc_status answer_machine(measurement* m, char* rest, FILE* answer) {
  (void)m;
  ossc_status status = check_end(rest);
  if (status == OSSC_OK) machine_describe(answer);
  return status;
}

static void print_probe(const probe_result* result, FILE* answer) {
  fprintf(answer, "{\"value\":%.6g,\"spread\":%.6g}", result->value, result->spread);
}

static ossc_status answer_probe(measurement* m, char* rest, FILE* answer) {
  (void)m;
  int64_t threads, size_bytes = 0;
  probe_result result;
  const char* name = command_line_word(&rest);
  ossc_status status =
      parse_integer("The number of threads", command_line_word(&rest), 1, MAX_THREADS, &threads);
  const char* size = command_line_word(&rest);
  if (status == OSSC_OK && *size != '\0') {
    status = parse_integer("The size", size, 1, PROBE_MAX_BYTES, &size_bytes);
  }
  if (status == OSSC_OK) status = check_end(rest);
  if (status == OSSC_OK) status = probe_run(name, (int32_t)threads, size_bytes, &result);
  if (status == OSSC_OK) print_probe(&result, answer);
  return status;
}

void measurement_close_prober(measurement* m) {
  if (m->prober != NULL) m->prober->close(m->prober);
  free(m->probed);
  m->prober = NULL;
  m->probed = NULL;
}

/* The prober of a device; it stays open until another device is probed. */
static ossc_status open_prober(measurement* m, const char* device) {
  if (m->prober != NULL && strcmp(m->probed, device) == 0) return OSSC_OK;
  measurement_close_prober(m);
  m->probed = strdup(device);
  if (m->probed == NULL) return fail_out_of_memory("the name of a device");
  return device_prober_open(device, &m->prober);
}

static ossc_status answer_device_probe(measurement* m, char* rest, FILE* answer) {
  int64_t size_bytes = 0;
  probe_result result;
  const char* device = command_line_word(&rest);
  const char* name = command_line_word(&rest);
  const char* size = command_line_word(&rest);
  ossc_status status = check_end(rest);
  if (status == OSSC_OK && *size != '\0') {
    status = parse_integer("The size", size, 1, PROBE_MAX_BYTES, &size_bytes);
  }
  if (status == OSSC_OK) status = open_prober(m, device);
  if (status == OSSC_OK) status = m->prober->run(m->prober, name, size_bytes, &result);
  if (status == OSSC_OK) print_probe(&result, answer);
  return status;
}

typedef struct command {
  const char* name;
  ossc_status (*answer)(measurement* m, char* rest, FILE* answer);
} command;

static const command commands[] = {
    {"threads", answer_threads},
    {"reset", answer_reset},
    {"fill", answer_fill},
    {"times", answer_times},
    {"routing", answer_routing},
    {"prefill", answer_prefill},
    {"decode", answer_decode},
    {"memory", answer_memory},
    {"machine", answer_machine},
    {"probe", answer_probe},
    {"device_probe", answer_device_probe},
};

ossc_status measure_command(measurement* m, char* line, FILE* answer) {
  const char* name = command_line_word(&line);
  for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); ++i) {
    if (strcmp(commands[i].name, name) == 0) return commands[i].answer(m, line, answer);
  }
  return fail(OSSC_ERROR_ARGUMENT, "There is no command \"%.32s\".", name);
}
