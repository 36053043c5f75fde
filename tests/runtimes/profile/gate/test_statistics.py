"""The gate's intervals: against enumeration, and against distributions whose centre is known."""

import itertools
import math

import numpy as np
import pytest

from ossc.runtimes.profile.gate.statistics import ratio_interval, signed_rank_interval

SIMULATIONS = 1000
BOOTSTRAPS = 100


def normal(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(0, 1, count)


def heavy_tails(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.standard_t(1.5, count)


def disturbed(rng: np.random.Generator, count: int) -> np.ndarray:
    """A fifth of the rounds met other work, on either side."""
    return rng.normal(0, 1, count) * np.where(rng.random(count) < 0.2, 50, 1)


@pytest.mark.parametrize("count", [12, 16, 48])
@pytest.mark.parametrize("distribution", [normal, heavy_tails, disturbed])
def test_the_interval_holds_the_centre_as_often_as_it_says(distribution, count):
    rng = np.random.default_rng(count)
    error, centre = 0.1, 3.0
    missed = 0
    for _ in range(SIMULATIONS):
        interval = signed_rank_interval((centre + distribution(rng, count)).tolist(), error)
        missed += not interval.low <= centre <= interval.high
    # three standard deviations of a count of that probability
    assert missed / SIMULATIONS < error + 3 * math.sqrt(error * (1 - error) / SIMULATIONS)
    assert missed / SIMULATIONS > error / 2


def test_the_ends_are_those_of_all_signs():
    values = [0.3, -1.2, 2.5, 0.9, 1.7, -0.4, 3.1, 0.8]
    means = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    sums = [
        sum(rank for rank, positive in enumerate(signs, 1) if positive)
        for signs in itertools.product([False, True], repeat=8)
    ]
    tail = 0.05
    largest = max(t for t in range(37) if np.mean(np.array(sums) <= t) <= tail)
    interval = signed_rank_interval(values, 2 * tail)
    assert (interval.low, interval.high) == (means[largest], means[-1 - largest])
    assert interval.low < interval.estimate < interval.high


def test_too_few_rounds_say_nothing():
    interval = signed_rank_interval([1.0, 1.1, 0.9, 1.0, 1.0], 0.05)
    assert (interval.low, interval.estimate, interval.high) == (-math.inf, 1.0, math.inf)


def test_one_disturbed_round_hardly_moves_the_interval():
    rng = np.random.default_rng(3)
    sound = rng.normal(0.1, 0.01, 24)
    hit = sound.copy()
    hit[5] = -2.0
    before, after = (signed_rank_interval(v.tolist(), 0.002) for v in (sound, hit))
    assert after.low > before.low - 0.02
    assert after.estimate == pytest.approx(before.estimate, abs=0.005)


def bursts(rng: np.random.Generator, count: int, lasting: float) -> np.ndarray:
    """Times near 1 in bursts of 16; a part of what disturbs them lasts for a burst."""
    shared = np.repeat(rng.normal(0, lasting, count), 16)
    return np.exp(shared + rng.normal(0, 0.02, 16 * count))


@pytest.mark.parametrize("lasting", [0.0, 0.05])
def test_the_bootstrap_holds_the_ratio_nearly_as_often_as_it_says(lasting):
    rng = np.random.default_rng(7)
    truth = math.log(1.07)
    missed = 0
    for _ in range(BOOTSTRAPS):
        current, baseline = 1.07 * bursts(rng, 12, lasting), bursts(rng, 12, lasting)
        interval = ratio_interval(current.tolist(), baseline.tolist(), 16, 0.05)
        missed += not interval.low <= truth <= interval.high
    assert missed / BOOTSTRAPS <= 0.12


def test_blocks_widen_the_interval_of_disturbances_that_last():
    rng = np.random.default_rng(11)
    times, other = (bursts(rng, 12, 0.05).tolist() for _ in range(2))
    lasting, fleeting = (ratio_interval(times, other, block, 0.05) for block in (16, 1))
    assert lasting.high - lasting.low > 1.5 * (fleeting.high - fleeting.low)


def test_too_few_blocks_say_nothing():
    interval = ratio_interval([3.0, 3.0], [2.0, 2.0], 1, 0.05)
    assert interval.estimate == pytest.approx(math.log(1.5))
    assert (interval.low, interval.high) == (-math.inf, math.inf)


def test_a_time_that_the_clock_did_not_see_is_as_short_as_any():
    """The CPU's counter advanced by 10 ns at a time and a kernel took less, now and then."""
    seen = [3e-5, 2e-5, 1e-5, 3e-5, 2e-5, 1e-5]
    unseen = [0.0 if ms == min(seen) else ms for ms in seen]
    for current, baseline in ((seen, unseen), (unseen, seen)):
        interval = ratio_interval(current, baseline, 2, 0.05)
        assert -math.inf < interval.low <= 0.0 <= interval.high < math.inf
        assert interval.estimate == 0.0
