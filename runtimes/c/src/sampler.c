#include <math.h>
#include <stdlib.h>

#include "call_guard.h"
#include "error.h"
#include "logits.h"

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
};

ossc_status ossc_sampler_create(const ossc_sampler_options* options, ossc_sampler** sampler_out) {
  if (options == NULL || sampler_out == NULL) {
    return fail(OSSC_ERROR_ARGUMENT, "options or sampler_out is NULL; pass both.");
  }
  if (!(options->temperature >= 0) || isinf(options->temperature)) {
    return fail(OSSC_ERROR_ARGUMENT, "The temperature is %g; it has to be from 0 to 3.4e38.",
                (double)options->temperature);
  }
  if (!(options->top_p > 0 && options->top_p <= 1)) {
    return fail(OSSC_ERROR_ARGUMENT, "top_p is %g; it has to be above 0 and at most 1.",
                (double)options->top_p);
  }
  ossc_sampler* sampler = calloc(1, sizeof(ossc_sampler));
  if (sampler == NULL) return fail_out_of_memory("a sampler");
  call_guard_init(&sampler->guard);
  sampler->options = *options;
  sampler->random_state = options->seed;
  *sampler_out = sampler;
  return OSSC_OK;
}

void ossc_sampler_destroy(ossc_sampler* sampler) {
  if (sampler == NULL) return;
  free(sampler->candidates);
  free(sampler);
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

/* Moves the fewest candidates that have top_p of the sum to the end, the likeliest last; returns
 * where they begin. A heap, because usually few of the whole vocabulary are needed. */
static size_t select_top_p(candidate* candidates, size_t num, double* sum) {
  double wanted = *sum, taken = 0;
  size_t left = num;
  for (size_t i = num / 2; i-- > 0;) sift_down(candidates, num, i);
  while (left > 0 && taken < wanted) {
    candidate top = candidates[0];
    candidates[0] = candidates[--left];
    if (left > 0) sift_down(candidates, left, 0);
    candidates[left] = top;
    taken += top.weight;
  }
  *sum = taken;
  return left;
}

static int32_t draw(ossc_sampler* sampler, size_t num, double sum) {
  size_t first = 0;
  if (sampler->options.top_p < 1) {
    sum *= (double)sampler->options.top_p;
    first = select_top_p(sampler->candidates, num, &sum);
  }
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
  int32_t best = logits_largest(logits, count);
  if (best < 0) return logits_fail();
  if (sampler->options.temperature > 0 && !isinf(logits[best])) {
    ossc_status status = reserve(sampler, count);
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
