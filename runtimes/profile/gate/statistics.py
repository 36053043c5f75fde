"""Intervals for how much slower something became: for pairs of rounds, and for two sets of samples.

Both work on logarithms of times, so that "twice as slow" and "twice as fast" are equally far from
"no change", and neither assumes a distribution: times on a shared machine have heavy tails.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4000
"""Draws of the bootstrap: a tail of 0.1 % of them is four."""

MIN_BLOCKS = 3
"""Fewer say nothing about how much they differ."""

SHORTEST_MS = 1e-6
"""What a time of 0 counts as: the counters of some CPUs advance by 10 ns at a time, so that a clock
may see nothing of a short kernel."""


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends between which the truth is believed to lie."""

    low: float
    estimate: float
    high: float


def signed_rank_interval(differences: Sequence[float], error: float) -> Interval:
    """Estimate the centre of paired differences by Wilcoxon's signed ranks.

    The estimate is that of Hodges and Lehmann, the median of the means of all pairs; the interval
    holds the centres that the signed-rank test would not reject (Hollander and Wolfe,
    Nonparametric Statistical Methods, section 3.3). It is exact for any symmetric distribution.

    Args:
        differences: One for each independent round; at least one.
        error: Probability with which the interval may miss the centre, on both sides together.

    Returns:
        Infinite ends where there are too few differences for such an error.
    """
    values = np.asarray(differences, np.float64)
    first, second = np.triu_indices(len(values))
    means = np.sort((values[first] + values[second]) / 2)
    rejected = _largest_rank(len(values), error / 2)
    estimate = float(np.median(means))
    if rejected < 0:
        return Interval(-math.inf, estimate, math.inf)
    return Interval(float(means[rejected]), estimate, float(means[-1 - rejected]))


@cache
def _largest_rank(count: int, tail: float) -> int:
    """Return the largest sum of positive ranks whose probability, with all below, is in the tail.

    Returns:
        -1 where even a sum of 0 is more likely.
    """
    ways = np.ones(1)  # of reaching each sum of ranks
    for rank in range(1, count + 1):
        ways = np.convolve(ways, np.concatenate([[1.0], np.zeros(rank - 1), [1.0]]))
    probability = np.cumsum(ways) / 2.0**count
    return int(np.searchsorted(probability, tail, side="right")) - 1


def ratio_interval(
    current: Sequence[float], baseline: Sequence[float], block: int, error: float
) -> Interval:
    """Estimate the log of the ratio of two medians by the bootstrap of blocks.

    Samples that follow each other are alike, because what disturbs them lasts; so whole blocks are
    drawn, and their number is what the interval rests on.

    Args:
        current: Times, in the order of measuring.
        baseline: The same of the other side, measured at another time.
        block: Samples that were measured one after the other; other work was between blocks.
        error: Probability with which the interval may miss, on both sides together.

    Returns:
        Infinite ends where a side has fewer than `MIN_BLOCKS`.
    """
    rng = np.random.default_rng(0)
    sides = [_blocks(values, block) for values in (current, baseline)]
    ours, theirs = (float(np.median(side)) for side in sides)
    if min(len(side) for side in sides) < MIN_BLOCKS:
        return Interval(-math.inf, ours - theirs, math.inf)
    draws = _medians(sides[0], rng) - _medians(sides[1], rng)
    low, high = np.quantile(draws, [error / 2, 1 - error / 2])
    return Interval(float(low), ours - theirs, float(high))


def _blocks(values: Sequence[float], block: int) -> NDArray[np.float64]:
    """Return the logs of times, ``[n_blocks, block]``; a part of a block at the end is left out."""
    logs = np.log(np.maximum(np.asarray(values, np.float64), SHORTEST_MS))
    block = min(block, len(logs))
    return logs[: len(logs) // block * block].reshape(-1, block)


def _medians(blocks: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the median again and again, each time from as many blocks as there are."""
    drawn = blocks[rng.integers(0, len(blocks), (RESAMPLES, len(blocks)))]
    medians: NDArray[np.float64] = np.median(drawn.reshape(RESAMPLES, -1), axis=1)
    return medians
