/* The sampler: greedy, temperature, top-p, seeds. */
#include <math.h>
#include <stdint.h>

#include "check.h"

enum { DRAWS = 20000 };

static ossc_sampler* new_sampler(float temperature, float top_p, uint64_t seed) {
  ossc_sampler_options options = {.temperature = temperature, .top_p = top_p, .seed = seed};
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
static void draw_with(const ossc_sampler_options* options, const float* logits, double shares[4]) {
  ossc_sampler* sampler = NULL;
  CHECK(ossc_sampler_create(options, &sampler) == OSSC_OK);
  memset(shares, 0, 4 * sizeof(double));
  for (int i = 0; i < DRAWS; ++i) shares[sample(sampler, logits, 4)] += 1.0 / DRAWS;
  ossc_sampler_destroy(sampler);
}

static void draw_many(float temperature, float top_p, const float* logits, double shares[4]) {
  ossc_sampler_options options = {.temperature = temperature, .top_p = top_p, .seed = 1};
  draw_with(&options, logits, shares);
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

/* Weights 1, 2, 4 and 8 of 15; shares as parts of what is left. */
static void top_k_top_p_and_min_p_cut_one_after_the_other(void) {
  const float log2 = 0.69314718f, logits[] = {0, log2, 2 * log2, 3 * log2};
  const struct {
    ossc_sampler_options options;
    double shares[4];
  } cases[] = {
      {{.temperature = 1, .top_p = 1, .top_k = 2}, {0, 0, 4.0 / 12, 8.0 / 12}},
      {{.temperature = 1, .top_p = 1, .top_k = 9}, {1.0 / 15, 2.0 / 15, 4.0 / 15, 8.0 / 15}},
      {{.temperature = 1, .top_p = 1, .top_k = 1}, {0, 0, 0, 1}},
      {{.temperature = 1, .top_p = 1, .min_p = 0.4f}, {0, 0, 4.0 / 12, 8.0 / 12}},
      {{.temperature = 1, .top_p = 1, .min_p = 1}, {0, 0, 0, 1}},
      /* 8 of 12 is enough, where 8 of 15 was not */
      {{.temperature = 1, .top_p = 0.6f, .top_k = 2}, {0, 0, 0, 1}},
      {{.temperature = 1, .top_p = 0.6f}, {0, 0, 4.0 / 12, 8.0 / 12}},
      {{.temperature = 1, .top_p = 0.9f, .min_p = 0.2f, .top_k = 3},
       {0, 2.0 / 14, 4.0 / 14, 8.0 / 14}},
      {{.temperature = 1, .top_p = 0.9f, .min_p = 0.3f, .top_k = 3}, {0, 0, 4.0 / 12, 8.0 / 12}},
      {{.temperature = 1, .top_p = 0.9f, .min_p = 0.3f}, {0, 0, 4.0 / 12, 8.0 / 12}},
  };
  for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); ++c) {
    double shares[4];
    draw_with(&cases[c].options, logits, shares);
    for (int i = 0; i < 4; ++i) {
      CHECK(fabs(shares[i] - cases[c].shares[i]) < 0.02);
      CHECK((shares[i] == 0) == (cases[c].shares[i] == 0));
    }
  }
}

static void the_repeat_penalty_makes_what_was_there_less_likely(void) {
  const float logits[] = {3, 2, -1, -1.5f}, below[] = {-2, -3, -INFINITY, NAN};
  const int32_t first[] = {0}, far[] = {900}, negative[] = {-1};
  ossc_sampler_options options = {.top_p = 1, .repeat_penalty = 2};
  ossc_sampler* sampler = NULL;
  CHECK(ossc_sampler_create(&options, &sampler) == OSSC_OK);
  CHECK(sample(sampler, logits, 4) == 0);
  CHECK(ossc_sampler_accept(sampler, first, 1) == OSSC_OK);
  CHECK(ossc_sampler_accept(sampler, first, 1) == OSSC_OK); /* it counts once */
  CHECK(ossc_sampler_accept(sampler, far, 1) == OSSC_OK);
  CHECK(sample(sampler, logits, 4) == 1);
  CHECK(sample(sampler, below, 4) == 1); /* -2 became -4 */
  CHECK_FAILS(ossc_sampler_accept(sampler, negative, 1), OSSC_ERROR_ARGUMENT, "negative");
  CHECK_FAILS(ossc_sampler_accept(sampler, NULL, 1), OSSC_ERROR_ARGUMENT, "NULL");
  ossc_sampler_destroy(sampler);
}

static void the_repeat_penalty_is_in_the_draws(void) {
  const float log2 = 0.69314718f, logits[] = {2 * log2, log2, 0, 0};
  const int32_t first[] = {0};
  ossc_sampler_options options = {.temperature = 1, .top_p = 1, .seed = 1, .repeat_penalty = 2};
  double shares[4] = {0};
  ossc_sampler* sampler = NULL;
  CHECK(ossc_sampler_create(&options, &sampler) == OSSC_OK);
  CHECK(ossc_sampler_accept(sampler, first, 1) == OSSC_OK);
  for (int i = 0; i < DRAWS; ++i) shares[sample(sampler, logits, 4)] += 1.0 / DRAWS;
  for (int i = 0; i < 4; ++i) CHECK(fabs(shares[i] - (i < 2 ? 2 : 1) / 6.0) < 0.02);
  ossc_sampler_destroy(sampler);
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
  const ossc_sampler_options bad[] = {
      {.temperature = -1, .top_p = 1},
      {.temperature = NAN, .top_p = 1},
      {.temperature = INFINITY, .top_p = 1},
      {.temperature = 1, .top_p = 0},
      {.temperature = 1, .top_p = 1.1f},
      {.temperature = 1, .top_p = NAN},
      {.temperature = 1, .top_p = 1, .top_k = -1},
      {.temperature = 1, .top_p = 1, .min_p = -0.1f},
      {.temperature = 1, .top_p = 1, .min_p = 1.1f},
      {.temperature = 1, .top_p = 1, .min_p = NAN},
      {.temperature = 1, .top_p = 1, .repeat_penalty = -1},
      {.temperature = 1, .top_p = 1, .repeat_penalty = INFINITY},
      {.temperature = 1, .top_p = 1, .repeat_penalty = NAN},
  };
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
  top_k_top_p_and_min_p_cut_one_after_the_other();
  the_repeat_penalty_makes_what_was_there_less_likely();
  the_repeat_penalty_is_in_the_draws();
  nan_and_infinity_are_handled();
  equal_seeds_draw_equal_tokens();
  options_are_checked();
  return 0;
}
