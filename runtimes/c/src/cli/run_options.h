/* The command line of ossc-run. */
#ifndef OSSC_RUN_OPTIONS_H_
#define OSSC_RUN_OPTIONS_H_

#include "ossc.h"

typedef struct run_options {
  const char* bundle;
  int32_t* token_ids; /* the prompt */
  size_t num_token_ids;
  int32_t max_new_tokens;
  int32_t threads; /* 0: one for each CPU */
  ossc_sampler_options sampler;
  ossc_weights_mode weights_mode;
  ossc_kv_type kv_type;
  const char* device; /* NULL: not asked for */
  bool json;
  bool measure;
  bool list_devices;
  bool help;
  bool version;
} run_options;

/* Release it with run_options_free. */
ossc_status run_options_parse(int argc, char** argv, run_options* options_out);

void run_options_free(run_options* options);

extern const char run_options_usage[];

#endif /* OSSC_RUN_OPTIONS_H_ */
