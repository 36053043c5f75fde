"""The baselines are real probability models."""

import numpy as np

from sample_model.config import VOCAB_SIZE
from sample_model.ngram import Counts, encode_ngrams, perplexities

TOKENS = np.random.default_rng(0).zipf(1.5, 5000) % VOCAB_SIZE


def test_probabilities_of_all_tokens_after_a_context_sum_to_one():
    lower = np.full(VOCAB_SIZE, 1 / VOCAB_SIZE)
    unigram = Counts.of(encode_ngrams(TOKENS, 1)).discounted(np.arange(VOCAB_SIZE), lower)
    after_one = VOCAB_SIZE + np.arange(VOCAB_SIZE)
    bigram = Counts.of(encode_ngrams(TOKENS, 2)).discounted(after_one, unigram)
    assert abs(unigram.sum() - 1) < 1e-9
    assert abs(bigram.sum() - 1) < 1e-9


def test_a_periodic_text_is_certain_to_a_trigram_and_not_to_a_unigram():
    text = np.array([5, 6, 5, 7] * 2000)
    result = perplexities(text, text[:400])
    assert 2.7 < result["unigram"] < 2.9
    assert result["bigram"] < 1.5
    assert result["trigram"] < 1.01
