/* The execution plan: plan.bin in memory, with every number checked. docs/bundle-format.md is its
 * specification, runtimes/plan its writer. */
#ifndef OSSC_PLAN_H_
#define OSSC_PLAN_H_

#include "ossc.h"

#define PLAN_ABI_VERSION 2
#define PLAN_MAX_DIMENSIONS 8
#define PLAN_MAX_STEP_TENSORS 30
#define PLAN_MAX_TOKENS 65536
#define PLAN_MAX_BLOCK 1024
#define PLAN_N_TOKENS (-1) /* the dimension that stands for the rows of the current call */
#define PLAN_NO_LAYER (-1)

/* What executes steps. */
typedef struct plan_device {
  const char* kind;
  uint32_t index; /* which of several of that kind */
} plan_device;

typedef enum plan_use { PLAN_WEIGHTS, PLAN_STATE, PLAN_ARENA, PLAN_NUM_USES } plan_use;

/* Memory of a device. */
typedef struct plan_space {
  plan_use use;
  uint32_t device;
  uint32_t alignment_bytes;
  uint64_t size_bytes;
  const char* file; /* of weights; else "" */
} plan_space;

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

/* What the numbers of a buffer mean. */
typedef enum plan_role {
  PLAN_ROLE_OTHER,
  PLAN_ROLE_TOKEN_IDS,
  PLAN_ROLE_POSITIONS,
  PLAN_ROLE_HIDDEN,
  PLAN_ROLE_LOGITS,
  PLAN_ROLE_WEIGHTS,
  PLAN_ROLE_EXPERT_OFFSETS, /* where each expert begins in the experts' weights, in bytes */
  PLAN_ROLE_EXPERT_INDICES, /* the experts that each row chose */
  PLAN_ROLE_EXPERT_BOUNDS,  /* where each expert's pairs begin in the order */
  PLAN_ROLE_EXPERT_ORDER,   /* the pairs of row and slot, by expert */
  PLAN_ROLE_CODES,
  PLAN_ROLE_CODE_SCALES,
  PLAN_ROLE_CODE_SUMS,
  PLAN_ROLE_CACHE,
  PLAN_NUM_ROLES
} plan_role;

typedef struct plan_tensor {
  uint32_t space; /* of the plan's */
  plan_role role;
  plan_dtype dtype;
  uint64_t offset_bytes;
  int32_t num_dimensions;
  int64_t shape[PLAN_MAX_DIMENSIONS]; /* at most one is PLAN_N_TOKENS */
} plan_tensor;

/* A call of a function of the program. */
typedef struct plan_host_kernel {
  const char* kernel;
  bool ranged; /* takes `begin` and `end`, and runs on all threads */
  uint32_t tasks_fixed, tasks_per_token;
} plan_host_kernel;

/* Groups of a launch in one dimension: (fixed + per_token * rows) / divisor, rounded up. */
typedef struct plan_groups {
  uint32_t fixed, per_token, divisor;
} plan_groups;

/* A launch of a function of a code file over a grid. */
typedef struct plan_device_kernel {
  const char* code; /* the file */
  const char* kernel;
  bool takes_rows;     /* the rows of the call follow the buffers, as an int32 */
  plan_groups grid[3]; /* at least one group in each dimension */
  uint32_t block[3];   /* work-items of a group; at most PLAN_MAX_BLOCK together */
} plan_device_kernel;

/* In the order of their numbers in plan.bin. */
typedef enum plan_step_kind { PLAN_HOST_KERNEL, PLAN_DEVICE_KERNEL } plan_step_kind;

typedef struct plan_step {
  uint32_t number; /* among all steps of the plan */
  const char* label;
  int32_t layer; /* or PLAN_NO_LAYER */
  uint32_t num_tensors;
  uint32_t tensors[PLAN_MAX_STEP_TENSORS];
  plan_step_kind kind;
  union {
    plan_host_kernel host_kernel;
    plan_device_kernel device_kernel;
  };
} plan_step;

/* An input or an output; the tensor's role says what it is. */
typedef struct plan_binding {
  int32_t layer; /* or PLAN_NO_LAYER */
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
  uint32_t token_ids, positions, hidden, logits;
  uint32_t* router_indices; /* [plan.num_router_layers] */
} plan_segment;

typedef struct plan {
  int32_t context;
  int32_t vocab_size;
  int32_t hidden_size;
  int32_t num_router_layers;
  int32_t* router_widths;      /* [num_router_layers]: how many experts each chooses for a row */
  int32_t num_experts_per_tok; /* the most of them; 0 without routers */
  uint32_t num_devices, num_spaces, num_tensors, num_segments, num_steps;
  plan_device* devices;
  plan_space* spaces;
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

/* Bytes of all spaces of a use. */
uint64_t plan_size_bytes(const plan* p, plan_use use);

/* Bytes of one element. */
size_t plan_dtype_bytes(plan_dtype dtype);

/* Groups of a launch for so many rows. */
uint64_t plan_count_groups(const plan_groups* groups, uint32_t rows);

/* The checks of plan_parse, by topic. */
ossc_status plan_check_spaces(const plan* p);
ossc_status plan_check_tensor(const plan* p, const plan_tensor* tensor);
ossc_status plan_check_bounds(const plan* p, const plan_segment* segment);
ossc_status plan_check_interface(plan* p);

/* The status of a plan that is refused. */
ossc_status plan_fault(const char* fault);

#endif /* OSSC_PLAN_H_ */
