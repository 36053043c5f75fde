"""Unigram and interpolated trigram models over the same tokens: what the sample model must beat.

The trigram is interpolated by absolute discounting (Ney, Essen and Kneser 1994): each order gives
a discount of every seen continuation to the order below, and the lowest to the uniform.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sample_model.config import VOCAB_SIZE

Tokens = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """How often n-grams occur, and what follows their contexts."""

    ngrams: Tokens
    """Distinct n-grams as numbers in base ``VOCAB_SIZE``, sorted."""
    times: Tokens
    contexts: Tokens
    """Distinct contexts (an n-gram without its last token), sorted."""
    context_times: Tokens
    context_kinds: Tokens
    """Distinct tokens that follow each context."""

    @classmethod
    def of(cls, ngrams: Tokens) -> "Counts":
        """Count encoded n-grams."""
        distinct, times = np.unique(ngrams, return_counts=True)
        contexts, first, kinds = np.unique(
            distinct // VOCAB_SIZE, return_index=True, return_counts=True
        )
        return cls(distinct, times, contexts, np.add.reduceat(times, first), kinds)

    def discounted(self, ngrams: Tokens, lower: Probabilities) -> Probabilities:
        """Return the probability of each n-gram's last token, given that of the lower order."""
        once, twice = (self.times == 1).sum(), (self.times == 2).sum()
        discount = once / max(1, once + 2 * twice)
        times = look_up(self.ngrams, self.times, ngrams)
        context = ngrams // VOCAB_SIZE
        total = look_up(self.contexts, self.context_times, context)
        kinds = look_up(self.contexts, self.context_kinds, context)
        seen = total > 0
        total = np.where(seen, total, 1)
        own = np.maximum(times - discount, 0) / total
        return np.where(seen, own + discount * kinds / total * lower, lower)


def look_up(keys: Tokens, values: Tokens, wanted: Tokens) -> Tokens:
    """Return the value of each wanted key, 0 where there is none; keys are sorted."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


def encode_ngrams(tokens: Tokens, order: int) -> Tokens:
    """Return a number for each run of ``order`` tokens, [len - order + 1]."""
    count = len(tokens) - order + 1
    encoded = np.zeros(count, np.int64)
    for i in range(order):
        encoded = encoded * VOCAB_SIZE + tokens[i : i + count]
    return encoded


def perplexities(training: Tokens, held_out: Tokens, *, skip: int = 2) -> dict[str, float]:
    """Return the perplexity of both models on held_out[skip:], with at least two tokens before.

    Args:
        training: The tokens that are counted.
        held_out: The tokens that are predicted, in order.
        skip: How many tokens at the start serve as context only; at least 2.
    """
    probability = np.full(len(held_out), 1 / VOCAB_SIZE)
    result = {}
    for order, name in ((1, "unigram"), (2, "bigram"), (3, "trigram")):
        counts = Counts.of(encode_ngrams(training, order))
        wanted = encode_ngrams(held_out, order)
        lower = probability[len(probability) - len(wanted) :]
        probability = counts.discounted(wanted, lower)
        scored = probability[skip - order + 1 :]
        result[name] = float(np.exp(-np.log(scored).mean()))
    return result
