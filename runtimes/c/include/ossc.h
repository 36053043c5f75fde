/* ossc.h: open a bundle and run it.
 *
 *   ossc_model* model;
 *   ossc_session* session;
 *   ossc_model_open("bundle", NULL, &model);
 *   ossc_session_create(model, NULL, &session);
 *   ossc_session_prefill(session, token_ids, count, logits);    // [vocab_size]
 *   ossc_session_decode(session, next_token_id, logits);
 *
 * Every call that can fail returns a status. When it is not OSSC_OK nothing has changed, nothing is
 * handed out through the `_out` arguments (of logits, the content is undefined), and
 * ossc_last_error() says why in one sentence.
 *
 * A model may be used by any number of threads and sessions. A session or a sampler runs one call
 * at a time: a second one fails with OSSC_ERROR_BUSY. Any thread may ask for a session's position
 * and threads at any time. Whoever closes or destroys a handle has ended all calls on it. After a
 * fork, the parent's sessions and samplers are refused in the child, which can open its own.
 * Pointers that a call hands out belong to the handle that was asked, unless it says otherwise.
 *
 * Opening a bundle with mapped weights installs a handler for SIGBUS, so that a call fails with
 * OSSC_ERROR_BUNDLE when the file of the weights was cut meanwhile. It passes other faults on to
 * the handler from before; a program that installs one later has to do the same.
 */
#ifndef OSSC_H_
#define OSSC_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OSSC_API __attribute__((visibility("default")))

/* Version of the functions and structs in this file. */
#define OSSC_API_VERSION 4

typedef enum ossc_status {
  OSSC_OK = 0,
  OSSC_ERROR_ARGUMENT = 1, /* the call is wrong in itself: a null pointer, an unknown token id */
  OSSC_ERROR_CONTEXT = 2,  /* the tokens do not fit into what is left of the context */
  OSSC_ERROR_BUNDLE = 3,   /* the bundle is damaged, incomplete or of another version */
  OSSC_ERROR_MACHINE = 4,  /* this machine is not one that the bundle was compiled for */
  OSSC_ERROR_MEMORY = 5,   /* the system has not enough memory, threads or file descriptors */
  OSSC_ERROR_KERNEL = 6,   /* a kernel refused its buffers, or gave no number */
  OSSC_ERROR_BUSY = 7      /* another call runs on the handle */
} ossc_status;

/* Why the last call of this thread failed; valid until its next call. Never NULL. */
OSSC_API const char* ossc_last_error(void);

/* The OSSC_API_VERSION that the library was built with. */
OSSC_API uint32_t ossc_api_version(void);

/* ---- Model: a bundle whose manifest, plan and files were checked, with its weights in memory ----
 */

typedef struct ossc_model ossc_model;

typedef enum ossc_weights_mode {
  OSSC_WEIGHTS_MAPPED = 0, /* pages of weights.bin, shared with other processes; ready at once. A
                            * device with memory of its own gets a copy */
  OSSC_WEIGHTS_RESIDENT =
      1 /* copied into huge pages of this process, or memory of the driver: slower to open, faster
         * to run */
} ossc_weights_mode;

typedef enum ossc_kv_type {
  OSSC_KV_DEFAULT = 0, /* what the bundle was compiled with */
  OSSC_KV_F32 = 1,
  OSSC_KV_F16 = 2,
  OSSC_KV_INT8 = 3 /* with a float32 scale for every 32 columns of a key or a value */
} ossc_kv_type;

typedef struct ossc_model_options {
  ossc_weights_mode weights_mode;
  ossc_kv_type kv_type; /* of the KV caches of its sessions */
  const char* device;   /* KIND, or KIND:WHICH with a number or a part of a name; see
                         * ossc_list_devices. NULL or "": what OSSC_DEVICE in the environment says,
                         * or else the best of the kind that the bundle is for */
} ossc_model_options;

typedef struct ossc_model_info {
  int32_t vocab_size;
  int32_t hidden_size;
  int32_t context;             /* positions that a session can hold */
  int32_t prefill_chunk;       /* most tokens that are computed at once */
  int32_t num_router_layers;   /* layers whose chosen experts can be observed */
  int32_t num_experts_per_tok; /* the most that a router chooses; 0 without router layers */
  uint64_t weights_bytes;
  uint64_t state_bytes;          /* of each session: KV caches, inputs, outputs */
  uint64_t arena_bytes;          /* of each session: scratch */
  const char* target;            /* such as "cpu:x86-64-v3" */
  ossc_kv_type kv_type;          /* of the KV caches; never OSSC_KV_DEFAULT */
  const int32_t* stop_token_ids; /* [num_stop_token_ids] */
  size_t num_stop_token_ids;
} ossc_model_info;

/* Opens the bundle in a directory.  options: NULL for mapped weights.  The hash of weights.bin,
 * which takes long to compute, is not checked; its size is, and everything else. */
OSSC_API ossc_status ossc_model_open(const char* directory, const ossc_model_options* options,
                                     ossc_model** model_out);

/* What the model is. The pointers in info_out live as long as the model. */
OSSC_API ossc_status ossc_model_get_info(const ossc_model* model, ossc_model_info* info_out);

/* Releases the model; its memory goes when its last session is destroyed. NULL is allowed. */
OSSC_API void ossc_model_close(ossc_model* model);

/* ---- Devices: what a bundle of this library can run on ---- */

#define OSSC_DEVICE_TEXT_BYTES 128

typedef struct ossc_device_info {
  char kind[16];                         /* such as "opencl" */
  int32_t index;                         /* KIND:index names it */
  char platform[OSSC_DEVICE_TEXT_BYTES]; /* the driver */
  char name[OSSC_DEVICE_TEXT_BYTES];
  char type[16]; /* gpu, accelerator, cpu or other */
  char driver[OSSC_DEVICE_TEXT_BYTES]; /* its version; may be empty */
  uint64_t memory_bytes;
  bool shares_memory; /* with the host: weights need not be copied */
  bool is_default;    /* it is taken where only its kind is asked for */
} ossc_device_info;

/* The devices of this machine that the library has code for.
 *   devices_out  [capacity]; NULL where capacity is 0
 *   count_out    how many there are, of which at most `capacity` were written */
OSSC_API ossc_status ossc_list_devices(ossc_device_info* devices_out, size_t capacity,
                                       size_t* count_out);

/* ---- Session: one sequence of tokens, its KV caches and its threads ---- */

typedef struct ossc_session ossc_session;

typedef struct ossc_session_options {
  int32_t threads; /* that compute, the caller's included; 0: one for each CPU of this process */
  bool record_routing; /* keep the chosen experts of each call for ossc_session_router_indices */
} ossc_session_options;

/* options: NULL for one thread for each CPU, without recorded routing. */
OSSC_API ossc_status ossc_session_create(ossc_model* model, const ossc_session_options* options,
                                         ossc_session** session_out);

/* Runs tokens from the current position on. Logits of which one is NaN or plus infinity are an
 * error.
 *   token_ids   [count], count >= 1
 *   logits_out  [vocab_size], of the last token, owned by the caller; NULL when not wanted */
OSSC_API ossc_status ossc_session_prefill(ossc_session* session, const int32_t* token_ids,
                                          size_t count, float* logits_out);

/* The same, with the logits of every token.  logits_out: [count, vocab_size], owned by the caller.
 */
OSSC_API ossc_status ossc_session_prefill_all(ossc_session* session, const int32_t* token_ids,
                                              size_t count, float* logits_out);

/* Runs one token.  logits_out: [vocab_size], owned by the caller. */
OSSC_API ossc_status ossc_session_decode(ossc_session* session, int32_t token_id,
                                         float* logits_out);

/* Forgets all tokens: the next one has position 0. */
OSSC_API ossc_status ossc_session_reset(ossc_session* session);

/* For measurements: stands at a position as if so many tokens had run, 0 to context, with memory
 * that was written. What follows costs what it costs there; its logits mean nothing. */
OSSC_API ossc_status ossc_session_fill(ossc_session* session, int32_t position);

/* The number of tokens run so far, which is the position of the next one. */
OSSC_API ossc_status ossc_session_position(const ossc_session* session, int32_t* position_out);

/* The threads that compute, the caller's included. */
OSSC_API ossc_status ossc_session_threads(const ossc_session* session, int32_t* threads_out);

/* The experts that the last successful prefill or decode chose; needs record_routing.
 *   indices_out  [num_router_layers, num_tokens, num_experts_per_tok], -1 where a router chooses
 * fewer than the most; valid until the session's next call */
OSSC_API ossc_status ossc_session_router_indices(const ossc_session* session,
                                                 const int32_t** indices_out,
                                                 size_t* num_tokens_out);

/* Whether the chosen experts are kept from the next call on. */
OSSC_API ossc_status ossc_session_record_routing(ossc_session* session, bool on);

/* A step of the plan that ran. */
typedef struct ossc_step_time {
  int32_t segment, step;    /* which of the plan */
  int32_t num_tokens;       /* rows that it ran for */
  int64_t begin_ns, end_ns; /* of CLOCK_MONOTONIC; a step begins where the one before it ends */
} ossc_step_time;

typedef struct ossc_step_times {
  size_t count;
  int32_t threads;
  const ossc_step_time* steps; /* [count], in the order they ran; the first begins with the call */
  const int64_t* thread_ns;    /* [count, threads, 2]: when each thread began and ended its tasks;
                                * zeros: it had none. The caller is the first thread. */
} ossc_step_times;

/* Whether the times of steps are kept from the next call on; off at first. A step that is timed
 * takes about 15 ns longer. */
OSSC_API ossc_status ossc_session_record_times(ossc_session* session, bool on);

/* The times of the last successful prefill or decode; needs ossc_session_record_times. The pointers
 * are valid until the session's next call. */
OSSC_API ossc_status ossc_session_step_times(ossc_session* session, ossc_step_times* times_out);

/* NULL is allowed. */
OSSC_API void ossc_session_destroy(ossc_session* session);

/* ---- Sampler: from logits to a token id ---- */

typedef struct ossc_sampler ossc_sampler;

/* In this order: the repeat penalty, the temperature, top_k, top_p of what that leaves, min_p. */
typedef struct ossc_sampler_options {
  float temperature; /* 0: the largest logit, the lowest id of equals */
  float top_p;   /* in (0, 1]: draw among the fewest tokens that have this probability together */
  uint64_t seed; /* equal seeds draw equal tokens from equal logits */
  int32_t top_k; /* draw among so many of the likeliest tokens; 0: among all */
  float min_p;   /* in [0, 1]: draw none that has less than this share of the likeliest one's
                  * probability */
  float repeat_penalty; /* above 0: logits of accepted tokens are divided by it, negative ones
                         * multiplied; 0 or 1: none */
} ossc_sampler_options;

OSSC_API ossc_status ossc_sampler_create(const ossc_sampler_options* options,
                                         ossc_sampler** sampler_out);

/* Tells the sampler which tokens are there, for the repeat penalty: those of the prompt, and each
 * one that follows.  token_ids: [count], none negative. */
OSSC_API ossc_status ossc_sampler_accept(ossc_sampler* sampler, const int32_t* token_ids,
                                         size_t count);

/* logits: [count], count >= 1.  NaN is never chosen; logits without a number are an error. */
OSSC_API ossc_status ossc_sampler_sample(ossc_sampler* sampler, const float* logits, size_t count,
                                         int32_t* token_id_out);

/* NULL is allowed. */
OSSC_API void ossc_sampler_destroy(ossc_sampler* sampler);

/* ---- Process: what the operating system says about this one ---- */

typedef struct ossc_process_memory {
  uint64_t peak_rss_bytes;  /* VmHWM: includes the mapped pages of weights.bin */
  uint64_t anonymous_bytes; /* RssAnon, now */
  uint64_t mapped_bytes;    /* RssFile, now: pages of weights.bin and of programs in memory */
} ossc_process_memory;

/* Zeros where /proc does not say. */
OSSC_API ossc_status ossc_get_process_memory(ossc_process_memory* memory_out);

#ifdef __cplusplus
}
#endif

#endif /* OSSC_H_ */
