/* What executes the steps of a plan, behind one struct of functions.
 *
 * A device belongs to a model: it holds the weights and what the steps call, and does not change
 * once it is open. A queue belongs to a session: it holds the state and the arena, and runs one
 * call at a time, in order; run, write and copy may return before they are done, and read and
 * finish wait for all that came before. device/null is the skeleton to copy for another kind.
 */
#ifndef OSSC_DEVICE_H_
#define OSSC_DEVICE_H_

#include "bundle/plan.h"
#include "device/prober.h"
#include "device/threads.h"

typedef struct device_api device_api;

/* Each kind's own struct begins with it. */
typedef struct device {
  const device_api* api;
  const char* instruction_set; /* of the kernels in use; "base": what every machine has */
  ossc_device_info info;
} device;

/* Each kind's own struct begins with it. */
typedef struct device_queue {
  const device_api* api;
  int32_t threads; /* of the host that compute, the caller's included */
} device_queue;

typedef struct device_request {
  const plan* plan;      /* lives longer than the device */
  const char* directory; /* of the bundle, whose files were checked */
  ossc_weights_mode weights_mode;
  const char* which; /* of the devices of the kind: a number, or a part of a name; "": any */
} device_request;

/* Steps of a segment: count of them from first on. */
typedef struct step_range {
  uint32_t first, count;
} step_range;

struct device_api {
  const char* kind;

  /* The devices of the kind, as far as there is room for them; count_out: of all. */
  ossc_status (*list)(ossc_device_info* devices_out, size_t capacity, size_t* count_out);

  /* For the device that is meant, as in device_request; NULL: the kind has no probes. */
  ossc_status (*open_prober)(const char* which, device_prober** prober_out);

  /* Loads the weights and finds what the steps call. Refuses a plan that it cannot run. */
  ossc_status (*open)(const device_request* request, device** device_out);

  /* Refuses weights that were lost since. */
  ossc_status (*check)(const device* d);

  void (*close)(device* d);

  /* Allocates state, which is zeros, and arena.  threads: 1 to MAX_THREADS. */
  ossc_status (*start)(const device* d, int32_t threads, device_queue** queue_out);

  /* Runs steps for 1 <= num_tokens <= segment->max_tokens rows.  ticks: of the one step, or not
   * wanted. */
  ossc_status (*run)(device_queue* q, const plan_segment* segment, step_range steps,
                     int32_t num_tokens, thread_ticks ticks);

  /* Bytes of a tensor in the state, from byte `at` of it on. */
  ossc_status (*write)(device_queue* q, uint32_t tensor, size_t at, const void* data, size_t size);
  ossc_status (*read)(device_queue* q, uint32_t tensor, size_t at, void* data_out, size_t size);

  /* From one tensor in the state to the begin of another. */
  ossc_status (*copy)(device_queue* q, uint32_t to, uint32_t from, size_t from_at, size_t size);

  /* Writes the byte to all of the state. */
  ossc_status (*fill)(device_queue* q, uint8_t byte);

  ossc_status (*finish)(device_queue* q);

  void (*release)(device_queue* q);
};

/* Names the device to run on, as KIND or KIND:WHICH. The kind may be another one than the plan's:
 * `null`, which computes nothing. */
#define DEVICE_VARIABLE "OSSC_DEVICE"

typedef struct device_choice {
  const device_api* api;
  const char* which; /* as in device_request */
} device_choice;

/* The device that is asked for.  wanted: KIND or KIND:WHICH; NULL or "": what the environment says,
 * or else any of the plan's kind. */
ossc_status device_choose(const plan* p, const char* wanted, device_choice* choice_out);

/* Refuses to choose among one: `which` has to be empty, or 0. */
ossc_status device_check_only(const char* which);

/* The kinds that this program has, then NULL; who links it says which. */
extern const device_api* const device_kinds[];

#endif /* OSSC_DEVICE_H_ */
