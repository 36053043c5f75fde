"""Percentiles and the noise of medians."""

import numpy as np
import pytest

from ossc.runtimes.profile.latency import Latency, median_interval


def test_percentiles_are_those_of_the_samples():
    latency = Latency.of([float(i) for i in range(101)])
    assert latency.mean_ms == 50
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (50, 90, 99)
    assert latency.spread == 1  # quartiles 25 and 75, over 50
    assert latency.samples_ms[-1] == 100


def test_samples_keep_their_order():
    assert Latency.of([3.0, 1.0, 2.0]).samples_ms == (3.0, 1.0, 2.0)


def test_a_single_sample_has_no_noise():
    latency = Latency.of([2.0])
    assert (latency.p50_ms, latency.spread, latency.noise) == (2, 0, 0)


def test_times_of_zero_are_summarized():
    assert Latency.of([0.0, 0.0]).noise == 0


def test_equal_samples_give_equal_noise():
    samples = np.random.default_rng(1).normal(10, 1, 50)
    assert Latency.of(samples) == Latency.of(samples)


def test_noise_falls_with_the_number_of_samples():
    draw = np.random.default_rng(2)
    few, many = (Latency.of(draw.normal(10, 1, count)).noise for count in (20, 2000))
    assert many < few / 3


@pytest.mark.parametrize("count", [15, 40])
def test_the_interval_holds_the_true_median_about_95_times_of_100(count):
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        low, high = median_interval(draw.exponential(1, count))
        held += low <= np.log(2) <= high
    assert held >= 178  # 89 %: the percentile bootstrap is a little narrow for few samples
