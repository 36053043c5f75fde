#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/call_guard.h"
#include "base/error.h"
#include "exec/logits.h"

typedef struct candidate {
  double weight; /* exp((logit - largest) / temperature) */
  int32_t token_id;
} candidate;

struct ossc_sampler {
  call_guard guard;
  ossc_sampler_options options;
  uint64_t random_state;
  candidate* candidates;
  size_t capacity;
  bool* accepted; /* [num_accepted], by token id */
  size_t num_accepted;
  float* penalized; /* logits, where there is a repeat penalty */
};

static ossc_status check_options(const ossc_sampler_options* options) {
  if (!(options->temperature >= 0) || isinf(options->temperature)) {
    return fail(OSSC_ERROR_ARGUMENT, "The temperature is %g; it has to be from 0 to 3.4e38.",
                (double)options->temperature);
  }
  if (!(options->top_p > 0 && options->top_p <= 1)) {
    return fail(OSSC_ERROR_ARGUMENT, "top_p is %g; it has to be above 0 and at most 1.",
                (double)options->top_p);
  }
  if (options->top_k < 0) {
    return fail(OSSC_ERROR_ARGUMENT, "top_k is %d; it has to be 0 or more.", (int)options->top_k);
  }
  if (!(options->min_p >= 0 && options->min_p <= 1)) {
    return fail(OSSC_ERROR_ARGUMENT, "min_p is %g; it has to be from 0 to 1.",
                (double)options->min_p);
  }
  if (!(options->repeat_penalty >= 0) || isinf(options->repeat_penalty)) {
    return fail(OSSC_ERROR_ARGUMENT, "The repeat penalty is %g; it has to be above 0.",
                (double)options->repeat_penalty);
  }
  return OSSC_OK;
}

ossc_status ossc_sampler_create(const ossc_sampler_options* options, ossc_sampler** sampler_out) {
  if (options == NULL || sampler_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "options or sampler_out is NULL; pass both.");
  }
  ossc_status status = check_options(options);
  if (status != OSSC_OK) return status;
  ossc_sampler* sampler = calloc(1, sizeof(ossc_sampler));
  if (sampler == NULL) return fail_out_of_memory("a sampler");
  call_guard_init(&sampler->guard);
  sampler->options = *options;
  if (options->repeat_penalty == 0) sampler->options.repeat_penalty = 1;
  sampler->random_state = options->seed;
  *sampler_out = sampler;
  return OSSC_OK;
}

void ossc_sampler_destroy(ossc_sampler* sampler) {
  if (sampler == NULL) return;
  free(sampler->candidates);
  free(sampler->accepted);
  free(sampler->penalized);
  free(sampler);
}

static ossc_status accept_tokens(ossc_sampler* sampler, const int32_t* token_ids, size_t count) {
  int32_t largest = -1;
  for (size_t i = 0; i < count; ++i) {
    if (token_ids[i] < 0) return fail(OSSC_ERROR_ARGUMENT, "A token id is negative; give others.");
    if (token_ids[i] > largest) largest = token_ids[i];
  }
  size_t wanted = (size_t)largest + 1;
  if (sampler->options.repeat_penalty == 1) return OSSC_OK;
  if (wanted > sampler->num_accepted) {
    bool* grown = realloc(sampler->accepted, wanted * sizeof(bool));
    if (grown == NULL) return fail_out_of_memory("a sampler");
    memset(grown + sampler->num_accepted, 0, (wanted - sampler->num_accepted) * sizeof(bool));
    sampler->accepted = grown;
    sampler->num_accepted = wanted;
  }
  for (size_t i = 0; i < count; ++i) sampler->accepted[token_ids[i]] = true;
  return OSSC_OK;
}

ossc_status ossc_sampler_accept(ossc_sampler* sampler, const int32_t* token_ids, size_t count) {
  if (sampler == NULL || token_ids == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "sampler or token_ids is NULL; pass both.");
  }
  ossc_status status = call_guard_begin(&sampler->guard, "sampler");
  if (status != OSSC_OK) return status;
  return call_guard_end(&sampler->guard, accept_tokens(sampler, token_ids, count));
}

static float with_penalty(float logit, float penalty) {
  return logit < 0 ? logit * penalty : logit / penalty;
}

/* Replaces logits by those with the repeat penalty of Keskar et al., "CTRL", 2019, section 4.1, as
 * transformers (RepetitionPenaltyLogitsProcessor) applies it to logits of either sign. */
static ossc_status penalize(ossc_sampler* sampler, const float** logits, size_t count) {
  float penalty = sampler->options.repeat_penalty;
  if (penalty == 1 || sampler->num_accepted == 0) return OSSC_OK;
  float* penalized = realloc(sampler->penalized, count * sizeof(float));
  if (penalized == NULL) return fail_out_of_memory("a sampler");
  sampler->penalized = penalized;
  memcpy(penalized, *logits, count * sizeof(float));
  for (size_t i = 0; i < count && i < sampler->num_accepted; ++i) {
    if (sampler->accepted[i]) penalized[i] = with_penalty(penalized[i], penalty);
  }
  *logits = penalized;
  return OSSC_OK;
}

/* A number in [0, 1): splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014. */
static double next_random(uint64_t* state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Collects the tokens that have a chance; returns the sum of their weights. */
static double collect(ossc_sampler* sampler, const float* logits, size_t count, float largest,
                      size_t* num_out) {
  double sum = 0;
  size_t num = 0;
  for (size_t i = 0; i < count; ++i) {
    if (isnan(logits[i])) continue;
    double weight = exp(((double)logits[i] - largest) / sampler->options.temperature);
    if (weight == 0) continue;
    sampler->candidates[num++] = (candidate){weight, (int32_t)i};
    sum += weight;
  }
  *num_out = num;
  return sum;
}

static bool is_before(const candidate* a, const candidate* b) {
  return a->weight > b->weight || (a->weight == b->weight && a->token_id < b->token_id);
}

static void sift_down(candidate* heap, size_t count, size_t parent) {
  candidate moving = heap[parent];
  for (size_t child; (child = 2 * parent + 1) < count; parent = child) {
    if (child + 1 < count && is_before(&heap[child + 1], &heap[child])) ++child;
    if (!is_before(&heap[child], &moving)) break;
    heap[parent] = heap[child];
  }
  heap[parent] = moving;
}

/* Moves the likeliest of the first `left` candidates, which are a heap, to their end. */
static void pop(candidate* candidates, size_t left) {
  candidate top = candidates[0];
  candidates[0] = candidates[left - 1];
  if (left > 1) sift_down(candidates, left - 1, 0);
  candidates[left - 1] = top;
}

/* What select_likeliest takes at most. */
typedef struct selection {
  size_t count;
  double sum;   /* of weights: no further one when it is reached */
  double least; /* weight */
} selection;

/* Moves the likeliest candidates to the end, the first of them last; returns where they begin, and
 * their sum. A heap, because usually few of the whole vocabulary are needed. */
static size_t select_likeliest(candidate* candidates, size_t num, selection most, double* sum_out) {
  double taken = 0;
  size_t left = num;
  for (size_t i = num / 2; i-- > 0;) sift_down(candidates, num, i);
  while (left > 0 && num - left < most.count && taken < most.sum &&
         candidates[0].weight >= most.least) {
    pop(candidates, left--);
    taken += candidates[left].weight;
  }
  *sum_out = taken;
  return left;
}

/* Sorts out the candidates that are not to be drawn; returns where the others begin, and their sum.
 * The likeliest one has weight 1. */
static size_t select_candidates(ossc_sampler* sampler, size_t num, double* sum) {
  const ossc_sampler_options* options = &sampler->options;
  bool has_top_k = options->top_k > 0 && (size_t)options->top_k < num;
  bool has_top_p = options->top_p < 1;
  if (!has_top_k && !has_top_p && options->min_p == 0) return 0;
  selection most = {.count = has_top_k ? (size_t)options->top_k : num,
                    .sum = INFINITY,
                    .least = (double)options->min_p};
  if (has_top_k && has_top_p) { /* top_p is of the sum that top_k leaves */
    selection k = {.count = most.count, .sum = INFINITY, .least = 0};
    select_likeliest(sampler->candidates, num, k, sum);
  }
  if (has_top_p) most.sum = *sum * (double)options->top_p;
  return select_likeliest(sampler->candidates, num, most, sum);
}

static int32_t draw(ossc_sampler* sampler, size_t num, double sum) {
  size_t first = select_candidates(sampler, num, &sum);
  double remaining = next_random(&sampler->random_state) * sum;
  for (size_t i = num; i-- > first + 1;) {
    remaining -= sampler->candidates[i].weight;
    if (remaining < 0) return sampler->candidates[i].token_id;
  }
  return sampler->candidates[first].token_id;
}

static ossc_status reserve(ossc_sampler* sampler, size_t count) {
  if (sampler->capacity >= count) return OSSC_OK;
  candidate* grown = realloc(sampler->candidates, count * sizeof(candidate));
  if (grown == NULL) return fail_out_of_memory("a sampler");
  sampler->candidates = grown;
  sampler->capacity = count;
  return OSSC_OK;
}

static ossc_status choose(ossc_sampler* sampler, const float* logits, size_t count,
                          int32_t* token_id_out) {
  ossc_status status = penalize(sampler, &logits, count);
  if (status != OSSC_OK) return status;
  int32_t best = logits_largest(logits, count);
  if (best < 0) return logits_fail();
  if (sampler->options.temperature > 0 && !isinf(logits[best])) {
    status = reserve(sampler, count);
    if (status != OSSC_OK) return status;
    size_t num;
    double sum = collect(sampler, logits, count, logits[best], &num);
    best = draw(sampler, num, sum);
  }
  *token_id_out = best;
  return OSSC_OK;
}

ossc_status ossc_sampler_sample(ossc_sampler* sampler, const float* logits, size_t count,
                                int32_t* token_id_out) {
  if (sampler == NULL || logits == NULL || token_id_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "sampler, logits or token_id_out is NULL; pass all.");
  }
  if (count < 1 || count > INT32_MAX) {
    return fail(OSSC_ERROR_ARGUMENT, "%zu logits were given; give 1 to %d.", count, INT32_MAX);
  }
  ossc_status status = call_guard_begin(&sampler->guard, "sampler");
  if (status != OSSC_OK) return status;
  return call_guard_end(&sampler->guard, choose(sampler, logits, count, token_id_out));
}
