/* Measures what a device can do at most: the limits that times of kernels are compared with. It
 * needs no plan, and holds nothing of a bundle. */
#ifndef OSSC_PROBER_H_
#define OSSC_PROBER_H_

#include "ossc.h"

typedef struct probe_result {
  double value;  /* the best round: GB/s, GFLOP/s, GOP/s, or ns */
  double spread; /* how far the median round is from it, as a fraction of it */
} probe_result;

/* Each kind's own struct begins with it. */
typedef struct device_prober device_prober;
struct device_prober {
  ossc_device_info info;

  /*   name        "read", "f32", "int32" or "launch"
   *   size_bytes  of the buffer that is read; 0: none was given */
  ossc_status (*run)(device_prober* p, const char* name, int64_t size_bytes,
                     probe_result* result_out);

  void (*close)(device_prober* p);
};

/* Opens the device of a name, KIND or KIND:WHICH; refused where the kind has no probes. */
ossc_status device_prober_open(const char* name, device_prober** prober_out);

#endif /* OSSC_PROBER_H_ */
