/* What a kernel is tried on: each buffer is filled by its role, and by nothing else. */
#include "check.h"
#include "device/cpu/kernel_trial.h"

enum { TOKENS = 3, BLOCK = 32, SCALE = 64 };

static float weights_data[4] = {1, 2, 3, 4};

/* A plan of a space for each use, and one step that takes all its tensors; the last is its output.
 */
typedef struct fixture {
  plan_space spaces[PLAN_NUM_USES];
  plan_tensor tensors[PLAN_MAX_STEP_TENSORS];
  plan_step step;
  plan plan;
  memory weights[PLAN_NUM_USES];
  kernel_trial trial;
} fixture;

static uint32_t add(fixture* f, plan_use use, plan_role role, plan_dtype dtype, int64_t rows,
                    int64_t columns) {
  uint32_t index = f->plan.num_tensors++;
  f->tensors[index] = (plan_tensor){
      .space = use, .role = role, .dtype = dtype, .num_dimensions = 2, .shape = {rows, columns}};
  f->step.tensors[f->step.num_tensors++] = index;
  return index;
}

static void begin(fixture* f) {
  *f = (fixture){.plan = {.num_spaces = PLAN_NUM_USES}};
  for (int use = 0; use < PLAN_NUM_USES; ++use) f->spaces[use].use = (plan_use)use;
  f->plan.spaces = f->spaces;
  f->plan.tensors = f->tensors;
  f->weights[PLAN_WEIGHTS].data = weights_data;
}

static void create(fixture* f) {
  add(f, PLAN_ARENA, PLAN_ROLE_OTHER, PLAN_F32, PLAN_N_TOKENS, 8);
  f->trial = (kernel_trial){.step = &f->step, .num_tokens = TOKENS};
  CHECK(kernel_trial_create(&f->trial, &f->plan, f->weights));
}

static const void* data_of(const fixture* f, uint32_t i) { return f->trial.tensors[i].data; }

static void check_rising(const int32_t* values, int32_t count) {
  for (int32_t i = 0; i < count; ++i) CHECK(values[i] == i);
}

static void weights_are_the_models_own(void) {
  fixture f;
  begin(&f);
  f.tensors[add(&f, PLAN_WEIGHTS, PLAN_ROLE_WEIGHTS, PLAN_F32, 1, 2)].offset_bytes = 8;
  create(&f);
  CHECK(data_of(&f, 0) == weights_data + 2);
  kernel_trial_free(&f.trial);
}

static void tokens_and_positions_rise_from_zero(void) {
  fixture f;
  begin(&f);
  add(&f, PLAN_STATE, PLAN_ROLE_TOKEN_IDS, PLAN_I64, PLAN_N_TOKENS, 1);
  add(&f, PLAN_STATE, PLAN_ROLE_POSITIONS, PLAN_I64, PLAN_N_TOKENS, 1);
  create(&f);
  for (uint32_t tensor = 0; tensor < 2; ++tensor) {
    const int64_t* values = data_of(&f, tensor);
    CHECK(f.trial.tensors[tensor].shape[0] == TOKENS);
    for (int64_t i = 0; i < TOKENS; ++i) CHECK(values[i] == i);
  }
  kernel_trial_free(&f.trial);
}

/* Whatever the shapes are: bounds of the experts may look like indices. */
static void all_pairs_of_a_chunk_meet_the_first_expert(void) {
  fixture f;
  begin(&f);
  add(&f, PLAN_ARENA, PLAN_ROLE_EXPERT_BOUNDS, PLAN_I32, 1, 5);
  add(&f, PLAN_ARENA, PLAN_ROLE_EXPERT_ORDER, PLAN_I32, PLAN_N_TOKENS, 2);
  add(&f, PLAN_STATE, PLAN_ROLE_EXPERT_INDICES, PLAN_I32, 1, 4);
  create(&f);
  const int32_t* bounds = data_of(&f, 0);
  for (int i = 0; i < 5; ++i) CHECK(bounds[i] == (i == 0 ? 0 : 2 * TOKENS));
  check_rising(data_of(&f, 1), 2 * TOKENS);
  check_rising(data_of(&f, 2), 4);
  kernel_trial_free(&f.trial);
}

static void sums_are_those_of_their_codes_wherever_they_stand(void) {
  fixture f;
  begin(&f);
  add(&f, PLAN_ARENA, PLAN_ROLE_CODE_SUMS, PLAN_F32, PLAN_N_TOKENS, 2);
  add(&f, PLAN_ARENA, PLAN_ROLE_CODE_SCALES, PLAN_F32, PLAN_N_TOKENS, 1);
  add(&f, PLAN_ARENA, PLAN_ROLE_CODES, PLAN_I8, PLAN_N_TOKENS, SCALE);
  create(&f);
  const float *sums = data_of(&f, 0), *scales = data_of(&f, 1);
  const int8_t* codes = data_of(&f, 2);
  int32_t others = 0;
  for (int i = 0; i < TOKENS * SCALE / BLOCK; ++i) {
    int32_t sum = 0;
    for (int j = 0; j < BLOCK; ++j) sum += codes[i * BLOCK + j];
    CHECK(sums[i] == (float)sum);
    others += sum != 0;
  }
  CHECK(others > 0);
  for (int i = 0; i < TOKENS; ++i) CHECK(scales[i] >= 0.5f && scales[i] <= 1.0f);
  kernel_trial_free(&f.trial);
}

static void codes_have_both_signs_and_the_range_of_their_type(void) {
  fixture f;
  begin(&f);
  add(&f, PLAN_ARENA, PLAN_ROLE_CODES, PLAN_I16, PLAN_N_TOKENS, 4096);
  create(&f);
  const int16_t* codes = data_of(&f, 0);
  int16_t least = 0, largest = 0;
  for (int i = 0; i < TOKENS * 4096; ++i) {
    least = codes[i] < least ? codes[i] : least;
    largest = codes[i] > largest ? codes[i] : largest;
  }
  CHECK(least < -32000 && least >= -32258 && largest > 32000 && largest <= 32258);
  kernel_trial_free(&f.trial);
}

/* The first keys of a cache are numbers, and so is all of a buffer that is none. */
static void only_caches_are_filled_in_part(void) {
  const int64_t columns = 1 << 14;
  fixture f;
  begin(&f);
  add(&f, PLAN_STATE, PLAN_ROLE_CACHE, PLAN_F32, 1, columns);
  add(&f, PLAN_STATE, PLAN_ROLE_HIDDEN, PLAN_F32, 1, columns);
  create(&f);
  const float *cache = data_of(&f, 0), *hidden = data_of(&f, 1);
  CHECK(cache[0] >= 0.5f && cache[(1 << 13) - 1] >= 0.5f && cache[1 << 13] == 0);
  for (int64_t i = 0; i < columns; ++i) CHECK(hidden[i] >= 0.5f && hidden[i] <= 1.0f);
  kernel_trial_free(&f.trial);
}

int main(void) {
  weights_are_the_models_own();
  tokens_and_positions_rise_from_zero();
  all_pairs_of_a_chunk_meet_the_first_expert();
  sums_are_those_of_their_codes_wherever_they_stand();
  codes_have_both_signs_and_the_range_of_their_type();
  only_caches_are_filled_in_part();
  return 0;
}
