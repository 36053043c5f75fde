/* The execution plan: plan.bin in memory, with every number checked. docs/bundle-format.md is its
 * specification, runtimes/plan.py its writer. */
#ifndef OSSC_PLAN_H_
#define OSSC_PLAN_H_

#include "ossc.h"
#include "base/tvm_abi.h"

#define PLAN_ABI_VERSION 1
#define PLAN_ALIGNMENT_BYTES 64
#define PLAN_MAX_DIMENSIONS 8
#define PLAN_MAX_STEP_TENSORS 30
#define PLAN_MAX_TOKENS 65536
#define PLAN_N_TOKENS (-1) /* the dimension that stands for the rows of the current call */
#define PLAN_NO_LAYER (-1)

typedef enum plan_space { PLAN_WEIGHTS, PLAN_STATE, PLAN_ARENA, PLAN_NUM_SPACES } plan_space;

typedef enum plan_dtype {
  PLAN_F32,
  PLAN_I8,
  PLAN_U8,
  PLAN_I32,
  PLAN_I64,
  PLAN_BF16,
  PLAN_U16,
  PLAN_F16,
  PLAN_BOOL,
  PLAN_I16,
  PLAN_NUM_DTYPES
} plan_dtype;

typedef struct plan_tensor {
  plan_space space;
  plan_dtype dtype;
  uint64_t offset_bytes;
  int32_t num_dimensions;
  int64_t shape[PLAN_MAX_DIMENSIONS]; /* at most one is PLAN_N_TOKENS */
} plan_tensor;

typedef struct plan_step {
  const char* kernel;
  const char* label;
  tvm_function function; /* set by kernel_table_resolve */
  tvm_function base;     /* the one that runs on every machine of the target */
  int32_t layer;         /* or PLAN_NO_LAYER */
  bool ranged;           /* takes `begin` and `end`, and runs on all threads */
  uint32_t tasks_fixed, tasks_per_token;
  uint32_t num_tensors;
  uint32_t tensors[PLAN_MAX_STEP_TENSORS];
} plan_step;

typedef struct plan_binding {
  const char* name;
  uint32_t tensor;
} plan_binding;

typedef enum plan_segment_kind { PLAN_DECODE, PLAN_PREFILL, PLAN_HEAD } plan_segment_kind;

typedef struct plan_segment {
  plan_segment_kind kind;
  uint32_t max_tokens;
  uint32_t num_inputs, num_outputs, num_steps;
  plan_binding* bindings; /* inputs, then outputs */
  plan_step* steps;
  /* Tensors by their meaning; those of other kinds of segment are 0. */
  uint32_t input_ids, position_ids, hidden, logits;
  uint32_t* router_indices; /* [plan.num_router_layers] */
} plan_segment;

typedef struct plan {
  uint64_t space_bytes[PLAN_NUM_SPACES];
  int32_t context;
  int32_t vocab_size;
  int32_t hidden_size;
  int32_t num_router_layers;
  int32_t num_experts_per_tok;
  uint32_t num_tensors, num_segments;
  plan_tensor* tensors;
  plan_segment* segments;
  plan_segment* decode;
  plan_segment* prefill;
  plan_segment* head;       /* for one row */
  plan_segment* block_head; /* for the most rows; may be the same */
  char* names;              /* all names, each with a NUL */
} plan;

/* Reads and checks plan.bin. Release it with plan_free. */
ossc_status plan_parse(const void* data, size_t size, plan* plan_out);

void plan_free(plan* p);

/* Bytes of one element. */
size_t plan_dtype_bytes(plan_dtype dtype);

/* The checks of plan_parse, by topic. */
ossc_status plan_check_tensor(const plan_tensor* tensor);
ossc_status plan_check_step(const plan_step* step, uint32_t max_tokens);
ossc_status plan_check_bounds(const plan* p, const plan_segment* segment);
ossc_status plan_check_interface(plan* p);

/* The status of a plan that is refused. */
ossc_status plan_fault(const char* fault);

#endif /* OSSC_PLAN_H_ */
