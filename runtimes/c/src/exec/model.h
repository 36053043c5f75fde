#ifndef OSSC_MODEL_H_
#define OSSC_MODEL_H_

#include <stdatomic.h>

#include "bundle/manifest.h"
#include "device/device.h"

struct ossc_model {
  _Atomic int32_t references; /* the caller's and one for each session */
  manifest manifest;
  plan plan;
  device* device;
  ossc_kv_type kv_type; /* never OSSC_KV_DEFAULT */
};

void model_retain(ossc_model* model);

/* Refuses weights that lost pages while they were mapped. */
ossc_status model_check_weights(const ossc_model* model);

#endif /* OSSC_MODEL_H_ */
