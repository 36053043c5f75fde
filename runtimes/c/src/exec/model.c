#include "exec/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "bundle/kv_type.h"

#define MAX_PLAN_BYTES ((size_t)256 << 20)

uint32_t ossc_api_version(void) { return OSSC_API_VERSION; }

static ossc_status check_size(const char* path, const manifest_entry* entry) {
  int descriptor;
  uint64_t size;
  ossc_status status = file_open(path, &descriptor, &size);
  if (status != OSSC_OK) return status;
  file_close(descriptor);
  if (entry->size_bytes >= 0 && (uint64_t)entry->size_bytes == size) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "%s has %llu bytes and the manifest says %lld; copy or compile the bundle again.",
              path, (unsigned long long)size, (long long)entry->size_bytes);
}

static ossc_status check_hash(const char* path, const manifest_entry* entry) {
  char hex[SHA256_HEX_LENGTH + 1];
  ossc_status status = file_hash(path, hex);
  if (status != OSSC_OK) return status;
  if (strcmp(hex, entry->sha256) == 0) return OSSC_OK;
  return fail(OSSC_ERROR_BUNDLE,
              "%s does not have the hash in the manifest: it is damaged or was changed; copy or "
              "compile the bundle again.",
              path);
}

/* Sizes and hashes of all files; only the sizes of weights. */
static ossc_status check_files(const char* directory, const manifest* m) {
  for (const json_value* file = m->files->first; file != NULL; file = file->next) {
    char path[FILE_PATH_BYTES];
    manifest_entry entry;
    ossc_status status = manifest_file(file, &entry);
    if (status == OSSC_OK) status = file_path(directory, file->name, path);
    if (status == OSSC_OK) status = check_size(path, &entry);
    if (status == OSSC_OK && entry.role != FILE_WEIGHTS) status = check_hash(path, &entry);
    if (status != OSSC_OK) return status;
  }
  return OSSC_OK;
}

static size_t count_files(const manifest* m, file_role role) {
  size_t count = 0;
  for (const json_value* file = m->files->first; file != NULL; file = file->next) {
    manifest_entry entry;
    count += manifest_file(file, &entry) == OSSC_OK && entry.role == role;
  }
  return count;
}

/* The files of weights are those of the plan, and have its sizes. */
static ossc_status check_weights(const manifest* m, const plan* p, bool* agree_out) {
  size_t count = 0;
  for (uint32_t i = 0; i < p->num_spaces; ++i) {
    const plan_space* space = &p->spaces[i];
    manifest_entry entry;
    if (space->use != PLAN_WEIGHTS) continue;
    ossc_status status = manifest_find_file(m, space->file, FILE_WEIGHTS, &entry);
    if (status != OSSC_OK) return status;
    if ((uint64_t)entry.size_bytes != space->size_bytes) *agree_out = false;
    ++count;
  }
  if (count != count_files(m, FILE_WEIGHTS)) *agree_out = false;
  return OSSC_OK;
}

/* The files of code that a segment's steps name are listed as such. */
static ossc_status check_code(const manifest* m, const plan_segment* segment) {
  ossc_status status = OSSC_OK;
  manifest_entry entry;
  for (uint32_t i = 0; i < segment->num_steps && status == OSSC_OK; ++i) {
    const plan_step* step = &segment->steps[i];
    if (step->kind != PLAN_DEVICE_KERNEL) continue;
    status = manifest_find_file(m, step->device_kernel.code, FILE_CODE, &entry);
  }
  return status;
}

static ossc_status check_files_of_plan(const manifest* m, const plan* p, bool* agree_out) {
  ossc_status status = check_weights(m, p, agree_out);
  for (uint32_t i = 0; i < p->num_segments && status == OSSC_OK; ++i) {
    status = check_code(m, &p->segments[i]);
  }
  return status;
}

static ossc_status check_agreement(const manifest* m, const plan* p) {
  bool agree = m->plan_abi_version == PLAN_ABI_VERSION && m->context == p->context &&
               m->prefill_chunk == (int64_t)p->prefill->max_tokens &&
               strcmp(m->kind, p->devices[0].kind) == 0;
  ossc_status status = check_files_of_plan(m, p, &agree);
  if (status != OSSC_OK || agree) return status;
  return fail(OSSC_ERROR_BUNDLE,
              "The manifest and the plan contradict each other; compile the model again.");
}

static ossc_status load_plan(const char* directory, ossc_model* model) {
  char path[FILE_PATH_BYTES];
  char* data = NULL;
  size_t size = 0;
  ossc_status status = file_path(directory, kv_type_plan(model->kv_type), path);
  if (status == OSSC_OK) status = file_read(path, MAX_PLAN_BYTES, &data, &size);
  if (status == OSSC_OK) status = plan_parse(data, size, &model->plan);
  free(data);
  return status == OSSC_OK ? check_agreement(&model->manifest, &model->plan) : status;
}

/* Settles the type of the KV caches: the bundle's default where none is asked for. */
static ossc_status choose_kv_type(ossc_kv_type wanted, ossc_model* model) {
  manifest_entry entry;
  model->kv_type = wanted == OSSC_KV_DEFAULT ? model->manifest.default_kv : wanted;
  return manifest_find_file(&model->manifest, kv_type_plan(model->kv_type), FILE_PLAN, &entry);
}

static ossc_status open_device(const char* directory, const ossc_model_options* options,
                               ossc_model* model) {
  device_choice choice;
  ossc_status status = device_choose(&model->plan, options->device, &choice);
  if (status != OSSC_OK) return status;
  const device_request request = {&model->plan, directory, options->weights_mode, choice.which};
  return choice.api->open(&request, &model->device);
}

static ossc_status load(const char* directory, ossc_model_options options, ossc_model* model) {
  ossc_status status = manifest_open(directory, &model->manifest);
  const manifest* m = &model->manifest;
  if (status == OSSC_OK) status = cpu_check(m->arch, m->cpu_features);
  if (status == OSSC_OK) status = choose_kv_type(options.kv_type, model);
  if (status == OSSC_OK) status = check_files(directory, m);
  if (status == OSSC_OK) status = load_plan(directory, model);
  if (status == OSSC_OK) status = open_device(directory, &options, model);
  return status == OSSC_OK ? model_check_weights(model) : status;
}

ossc_status model_check_weights(const ossc_model* model) {
  return model->device->api->check(model->device);
}

static ossc_status check_options(const ossc_model_options* options) {
  ossc_weights_mode mode = options->weights_mode;
  if (mode != OSSC_WEIGHTS_MAPPED && mode != OSSC_WEIGHTS_RESIDENT) {
    return fail(OSSC_ERROR_ARGUMENT, "%d is not a way to hold weights; see ossc_weights_mode.",
                (int)mode);
  }
  if (options->kv_type != OSSC_KV_DEFAULT && kv_type_name(options->kv_type) == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "%d is not a type of KV caches; see ossc_kv_type.",
                (int)options->kv_type);
  }
  return OSSC_OK;
}

ossc_status ossc_model_open(const char* directory, const ossc_model_options* options,
                            ossc_model** model_out) {
  if (directory == NULL || model_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "directory or model_out is NULL; pass both.");
  }
  ossc_model_options chosen = {OSSC_WEIGHTS_MAPPED, OSSC_KV_DEFAULT, NULL};
  if (options != NULL) chosen = *options;
  ossc_status status = check_options(&chosen);
  if (status != OSSC_OK) return status;
  ossc_model* model = calloc(1, sizeof(ossc_model));
  if (model == NULL) return fail_out_of_memory("a model");
  model->references = 1;
  status = load(directory, chosen, model);
  if (status != OSSC_OK) {
    ossc_model_close(model);
    return status;
  }
  *model_out = model;
  return OSSC_OK;
}

ossc_status ossc_model_get_info(const ossc_model* model, ossc_model_info* info_out) {
  if (model == NULL || info_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "model or info_out is NULL; pass both.");
  }
  const plan* p = &model->plan;
  *info_out = (ossc_model_info){
      .vocab_size = p->vocab_size,
      .hidden_size = p->hidden_size,
      .context = p->context,
      .prefill_chunk = (int32_t)p->prefill->max_tokens,
      .num_router_layers = p->num_router_layers,
      .num_experts_per_tok = p->num_experts_per_tok,
      .weights_bytes = plan_size_bytes(p, PLAN_WEIGHTS),
      .state_bytes = plan_size_bytes(p, PLAN_STATE),
      .arena_bytes = plan_size_bytes(p, PLAN_ARENA),
      .target = model->manifest.target,
      .kv_type = model->kv_type,
      .stop_token_ids = model->manifest.stop_token_ids,
      .num_stop_token_ids = model->manifest.num_stop_token_ids,
  };
  return OSSC_OK;
}

void model_retain(ossc_model* model) { atomic_fetch_add(&model->references, 1); }

void ossc_model_close(ossc_model* model) {
  if (model == NULL || atomic_fetch_sub(&model->references, 1) > 1) return;
  if (model->device != NULL) model->device->api->close(model->device);
  plan_free(&model->plan);
  manifest_free(&model->manifest);
  free(model);
}
