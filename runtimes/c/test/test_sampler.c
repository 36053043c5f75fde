/* The sampler: greedy, temperature, top-p, seeds. */
#include <math.h>
#include <stdint.h>

#include "check.h"

enum { DRAWS = 20000 };

static ossc_sampler* new_sampler(float temperature, float top_p, uint64_t seed) {
  ossc_sampler_options options = {temperature, top_p, seed};
  ossc_sampler* sampler = NULL;
  CHECK(ossc_sampler_create(&options, &sampler) == OSSC_OK);
  return sampler;
}

static int32_t sample(ossc_sampler* sampler, const float* logits, size_t count) {
  int32_t token_id = -1;
  CHECK(ossc_sampler_sample(sampler, logits, count, &token_id) == OSSC_OK);
  CHECK(token_id >= 0 && (size_t)token_id < count);
  return token_id;
}

/* Shares of each of 4 tokens in many draws. */
static void draw_many(float temperature, float top_p, const float* logits, double shares[4]) {
  ossc_sampler* sampler = new_sampler(temperature, top_p, 1);
  memset(shares, 0, 4 * sizeof(double));
  for (int i = 0; i < DRAWS; ++i) shares[sample(sampler, logits, 4)] += 1.0 / DRAWS;
  ossc_sampler_destroy(sampler);
}

static void greedy_takes_the_lowest_of_the_largest(void) {
  const float logits[] = {1, NAN, 3, 3, -INFINITY};
  ossc_sampler* sampler = new_sampler(0, 1, 0);
  CHECK(sample(sampler, logits, 5) == 2);
  CHECK(sample(sampler, logits, 1) == 0);
  ossc_sampler_destroy(sampler);
}

/* Wherever it is, and however many there are. */
static void greedy_finds_the_largest_of_many(void) {
  static float logits[67];
  ossc_sampler* sampler = new_sampler(0, 1, 0);
  for (size_t count = 1; count <= 67; ++count) {
    for (size_t best = 0; best < count; ++best) {
      for (size_t i = 0; i < 67; ++i) logits[i] = i % 5 == 0 ? NAN : -1 - (float)(i * 31 % 17);
      logits[best] = 0;
      if (best + 1 < count) logits[count - 1] = -0.0f; /* no less: the lower id comes first */
      CHECK(sample(sampler, logits, count) == (int32_t)best);
    }
  }
  ossc_sampler_destroy(sampler);
}

static void temperature_draws_in_proportion(void) {
  /* weights 1, 2, 4, 8 of 15 at temperature 1; of their square roots at 2 */
  const float log2 = 0.69314718f, logits[] = {0, log2, 2 * log2, 3 * log2};
  double shares[4];
  draw_many(1, 1, logits, shares);
  for (int i = 0; i < 4; ++i) CHECK(fabs(shares[i] - (1 << i) / 15.0) < 0.02);
  draw_many(2, 1, logits, shares);
  for (int i = 0; i < 4; ++i) CHECK(fabs(shares[i] - pow(2, i / 2.0) / 7.2426) < 0.02);
}

static void top_p_keeps_the_fewest_that_suffice(void) {
  const float log2 = 0.69314718f, logits[] = {0, log2, 2 * log2, 3 * log2};
  double shares[4];
  draw_many(1, 0.75f, logits, shares); /* 8/15 is too little, 12/15 is enough */
  CHECK(shares[0] == 0 && shares[1] == 0);
  CHECK(fabs(shares[2] - 1.0 / 3) < 0.02 && fabs(shares[3] - 2.0 / 3) < 0.02);
  draw_many(1, 0.01f, logits, shares);
  CHECK(shares[3] > 0.999);
}

static void nan_and_infinity_are_handled(void) {
  const float with_nan[] = {NAN, 0, NAN, 0}, infinite[] = {0, INFINITY, 1, INFINITY};
  const float nothing[] = {NAN, -INFINITY};
  int32_t token_id = -5;
  double shares[4];
  draw_many(1, 0.9f, with_nan, shares);
  CHECK(shares[0] == 0 && shares[2] == 0 && shares[1] > 0.4 && shares[3] > 0.4);
  draw_many(1, 1, infinite, shares);
  CHECK(shares[1] > 0.999);
  ossc_sampler* sampler = new_sampler(1, 1, 0);
  CHECK_FAILS(ossc_sampler_sample(sampler, nothing, 2, &token_id), OSSC_ERROR_KERNEL,
              "ossc verify");
  CHECK_FAILS(ossc_sampler_sample(sampler, with_nan, 0, &token_id), OSSC_ERROR_ARGUMENT,
              "0 logits");
  CHECK(token_id == -5);
  ossc_sampler_destroy(sampler);
}

static void equal_seeds_draw_equal_tokens(void) {
  static float logits[1000];
  int differences = 0;
  for (int i = 0; i < 1000; ++i) logits[i] = (float)(i * 7919 % 997) / 300;
  ossc_sampler *a = new_sampler(1, 0.9f, 5), *b = new_sampler(1, 0.9f, 5);
  ossc_sampler* c = new_sampler(1, 0.9f, 6);
  for (int i = 0; i < 200; ++i) {
    int32_t token_id = sample(a, logits, 1000);
    CHECK(token_id == sample(b, logits, 1000));
    differences += token_id != sample(c, logits, 1000);
  }
  CHECK(differences > 150);
  ossc_sampler_destroy(a);
  ossc_sampler_destroy(b);
  ossc_sampler_destroy(c);
}

static void options_are_checked(void) {
  ossc_sampler* sampler = NULL;
  const ossc_sampler_options bad[] = {{-1, 1, 0}, {NAN, 1, 0},  {INFINITY, 1, 0},
                                      {1, 0, 0},  {1, 1.1f, 0}, {1, NAN, 0}};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
    CHECK(ossc_sampler_create(&bad[i], &sampler) == OSSC_ERROR_ARGUMENT);
  }
  CHECK(ossc_sampler_create(NULL, &sampler) == OSSC_ERROR_ARGUMENT && sampler == NULL);
}

int main(void) {
  greedy_takes_the_lowest_of_the_largest();
  greedy_finds_the_largest_of_many();
  temperature_draws_in_proportion();
  top_p_keeps_the_fewest_that_suffice();
  nan_and_infinity_are_handled();
  equal_seeds_draw_equal_tokens();
  options_are_checked();
  return 0;
}
