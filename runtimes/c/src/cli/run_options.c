#include "cli/run_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "bundle/kv_type.h"
#include "device/threads.h"

const char run_options_usage[] =
    "Usage: ossc-run BUNDLE --token-ids \"1 2 3\" [options]\n"
    "       ossc-run BUNDLE --measure [--threads N] [--weights MODE] [--kv TYPE] [--device NAME]\n"
    "       ossc-run --list-devices [--format json]\n"
    "\n"
    "Continues a prompt of token ids with the model of a bundle.\n"
    "\n"
    "  --token-ids IDS             the prompt, separated by spaces or commas; - reads stdin\n"
    "  -n N                        most tokens to generate (128)\n"
    "  --temp F                    temperature; 0 is greedy, the likeliest token (0)\n"
    "  --top-p F                   draw among the likeliest tokens of this probability (1)\n"
    "  --top-k N                   draw among so many of the likeliest; 0 is all (0)\n"
    "  --min-p F                   draw none less likely than this share of the likeliest (0)\n"
    "  --repeat-penalty F          logits of tokens that were there are divided by it (1)\n"
    "  --seed N                    of the random numbers (0)\n"
    "  --threads N                 threads that compute (one for each CPU)\n"
    "  --weights mapped|resident   from the file, or copied into huge pages (mapped)\n"
    "  --kv f32|f16|int8           type of the KV caches (what the bundle was compiled with)\n"
    "  --device KIND[:WHICH]       what runs it: a kind, and a number or a part of a name of\n"
    "                              --list-devices (what OSSC_DEVICE says, or the best there is)\n"
    "  --format text|json          token ids as they come, or one JSON object (text)\n"
    "  --list-devices              what this program can run on\n"
    "  --measure                   obey commands on stdin, for ossc profile; see its protocol\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n";

static ossc_status parse_count(const char* name, const char* text, int32_t least, int32_t most,
                               int32_t* value_out) {
  int64_t value;
  ossc_status status = parse_integer(name, text, least, most, &value);
  if (status == OSSC_OK) *value_out = (int32_t)value;
  return status;
}

/* Whether the text is the second of two words; another one is an error. */
static ossc_status parse_choice(const char* name, const char* text, const char* first,
                                const char* second, bool* is_second_out) {
  *is_second_out = strcmp(text, second) == 0;
  if (*is_second_out || strcmp(text, first) == 0) return OSSC_OK;
  return fail(OSSC_ERROR_ARGUMENT, "%s is \"%.32s\"; it has to be %s or %s.", name, text, first,
              second);
}

static ossc_status parse_weights(const char* text, ossc_weights_mode* mode_out) {
  bool resident;
  ossc_status status = parse_choice("--weights", text, "mapped", "resident", &resident);
  *mode_out = resident ? OSSC_WEIGHTS_RESIDENT : OSSC_WEIGHTS_MAPPED;
  return status;
}

static ossc_status parse_device(const char* text, const char** device_out) {
  *device_out = text;
  if (text[0] != '\0') return OSSC_OK;
  return fail(OSSC_ERROR_ARGUMENT, "--device is empty; give a name of --list-devices.");
}

static ossc_status parse_ids(const char* text, run_options* options) {
  const char* separators = " \t\r\n,";
  free(options->token_ids);
  options->num_token_ids = 0;
  options->token_ids = malloc((strlen(text) / 2 + 1) * sizeof(int32_t));
  if (options->token_ids == NULL) return fail_out_of_memory("the prompt");
  for (const char* id = text + strspn(text, separators); *id != '\0';) {
    size_t digits = strspn(id, "0123456789");
    long long value = strtoll(id, NULL, 10); /* at most LLONG_MAX */
    if (digits == 0 || value > INT32_MAX || strcspn(id + digits, separators) != 0) {
      return fail(OSSC_ERROR_ARGUMENT,
                  "--token-ids has \"%.32s\"; it has to be whole numbers separated by spaces.", id);
    }
    options->token_ids[options->num_token_ids++] = (int32_t)value;
    id += digits + strspn(id + digits, separators);
  }
  return OSSC_OK;
}

/* All of stdin, which may be longer than an argument; the caller frees it. NULL without memory.
 * A NUL becomes a question mark. */
static char* read_stdin(void) {
  size_t size = 0, capacity = 1 << 16;
  char* text = malloc(capacity);
  for (size_t count; text != NULL; size += count) {
    if (capacity - size < 2) {
      char* grown = realloc(text, capacity *= 2);
      if (grown == NULL) free(text);
      if (grown == NULL) return NULL;
      text = grown;
    }
    count = fread(text + size, 1, capacity - size - 1, stdin);
    if (count == 0) break;
  }
  for (size_t i = 0; i < size && text != NULL; ++i) {
    if (text[i] == '\0') text[i] = '?';
  }
  if (text != NULL) text[size] = '\0';
  return text;
}

static ossc_status parse_token_ids(const char* text, run_options* options) {
  if (strcmp(text, "-") != 0) return parse_ids(text, options);
  char* input = read_stdin();
  if (input == NULL) return fail_out_of_memory("the prompt");
  ossc_status status = OSSC_OK;
  if (ferror(stdin)) {
    status = fail(OSSC_ERROR_ARGUMENT, "stdin cannot be read; give the token ids there.");
  }
  if (status == OSSC_OK) status = parse_ids(input, options);
  free(input);
  return status;
}

/* Handles an option of the sampler; found_out: whether it is one. */
static ossc_status parse_sampler_option(const char* name, const char* value,
                                        ossc_sampler_options* options, bool* found_out) {
  *found_out = true;
  if (strcmp(name, "--temp") == 0) return parse_real(name, value, &options->temperature);
  if (strcmp(name, "--top-p") == 0) return parse_real(name, value, &options->top_p);
  if (strcmp(name, "--min-p") == 0) return parse_real(name, value, &options->min_p);
  if (strcmp(name, "--seed") == 0) return parse_unsigned(name, value, &options->seed);
  if (strcmp(name, "--top-k") == 0) return parse_count(name, value, 0, INT32_MAX, &options->top_k);
  if (strcmp(name, "--repeat-penalty") == 0) {
    ossc_status status = parse_real(name, value, &options->repeat_penalty);
    if (status == OSSC_OK && options->repeat_penalty == 0) {
      return fail(OSSC_ERROR_ARGUMENT, "%s is \"%.32s\"; it has to be above 0.", name, value);
    }
    return status;
  }
  *found_out = false;
  return OSSC_OK;
}

/* Handles an option that has a value. */
static ossc_status parse_option(const char* name, const char* value, run_options* options) {
  bool found;
  ossc_status status = parse_sampler_option(name, value, &options->sampler, &found);
  if (found) return status;
  if (strcmp(name, "--token-ids") == 0) return parse_token_ids(value, options);
  if (strcmp(name, "-n") == 0) {
    return parse_count(name, value, 1, INT32_MAX, &options->max_new_tokens);
  }
  if (strcmp(name, "--threads") == 0) {
    return parse_count(name, value, 1, MAX_THREADS, &options->threads);
  }
  if (strcmp(name, "--weights") == 0) return parse_weights(value, &options->weights_mode);
  if (strcmp(name, "--kv") == 0) return kv_type_parse(name, value, &options->kv_type);
  if (strcmp(name, "--device") == 0) return parse_device(value, &options->device);
  if (strcmp(name, "--format") == 0) {
    return parse_choice(name, value, "text", "json", &options->json);
  }
  return fail(OSSC_ERROR_ARGUMENT, "There is no option %.32s; see ossc-run --help.", name);
}

static bool is_option(const char* argument) { return argument[0] == '-' && argument[1] != '\0'; }

/* Handles --name=value. */
static ossc_status parse_assignment(char* argument, run_options* options) {
  char* equals = strchr(argument, '=');
  *equals = '\0';
  return parse_option(argument, equals + 1, options);
}

static ossc_status parse_arguments(int argc, char** argv, run_options* options) {
  for (int i = 1; i < argc; ++i) {
    const char* argument = argv[i];
    ossc_status status = OSSC_OK;
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
      options->help = true;
    } else if (strcmp(argument, "--version") == 0) {
      options->version = true;
    } else if (strcmp(argument, "--measure") == 0) {
      options->measure = true;
    } else if (strcmp(argument, "--list-devices") == 0) {
      options->list_devices = true;
    } else if (!is_option(argument) && options->bundle == NULL) {
      options->bundle = argument;
    } else if (!is_option(argument)) {
      status = fail(OSSC_ERROR_ARGUMENT, "There is one bundle too many, %.128s.", argument);
    } else if (strncmp(argument, "--", 2) == 0 && strchr(argument, '=') != NULL) {
      status = parse_assignment(argv[i], options);
    } else if (strncmp(argument, "-n", 2) == 0 && argument[2] != '\0') {
      status = parse_option("-n", argument + 2, options);
    } else if (i + 1 == argc) {
      status = fail(OSSC_ERROR_ARGUMENT, "%.32s has no value, or is unknown; see ossc-run --help.",
                    argument);
    } else {
      status = parse_option(argument, argv[++i], options);
    }
    if (status != OSSC_OK) return status;
  }
  return OSSC_OK;
}

static ossc_status check_complete(const run_options* options) {
  if (options->help || options->version || options->list_devices) return OSSC_OK;
  if (options->bundle == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "No bundle was given; see ossc-run --help.");
  }
  if (options->measure && options->num_token_ids > 0) {
    return fail(OSSC_ERROR_ARGUMENT,
                "--measure takes its tokens from commands; leave out --token-ids.");
  }
  if (options->num_token_ids == 0 && !options->measure) {
    return fail(OSSC_ERROR_ARGUMENT, "No prompt was given; give it with --token-ids.");
  }
  return OSSC_OK;
}

ossc_status run_options_parse(int argc, char** argv, run_options* options_out) {
  run_options options = {.max_new_tokens = 128, .sampler = {.top_p = 1}};
  ossc_status status = parse_arguments(argc, argv, &options);
  if (status == OSSC_OK) status = check_complete(&options);
  if (status != OSSC_OK) {
    run_options_free(&options);
    return status;
  }
  *options_out = options;
  return OSSC_OK;
}

void run_options_free(run_options* options) {
  free(options->token_ids);
  *options = (run_options){0};
}
