"""Histograms of times."""

import re

import numpy as np
import pytest

from ossc.runtimes.profile.latency import Latency
from ossc.runtimes.profile.report.findings import Timing
from ossc.runtimes.profile.report.plots.distribution import distribution


def timing(samples, predicted_ms=None):
    return Timing(
        phase="decode",
        tokens=128,
        threads=2,
        latency=Latency.of(samples),
        tokens_per_s=10.0,
        predicted_ms=predicted_ms,
        conditions=None,
    )


SAMPLES = np.random.default_rng(0).normal(100, 2, 200).tolist()


def test_the_bins_hold_all_samples():
    shown = distribution(timing(SAMPLES))
    assert sum(int(bar.tip.split()[0]) for bar in shown.bins) == 200
    assert max(bar.height for bar in shown.bins) == 100
    assert all(0 <= bar.x <= bar.x + bar.width <= 100.01 for bar in shown.bins)


def test_the_percentiles_are_lines_in_their_order():
    lines = {line.kind: line.at for line in distribution(timing(SAMPLES)).lines}
    assert 0 < lines["p50"] < lines["p90"] < lines["p99"] < 100


def test_a_prediction_nearby_is_a_line_and_one_far_away_is_not():
    near = distribution(timing(SAMPLES, predicted_ms=90.0))
    assert {line.kind: line.at for line in near.lines}["predicted"] < 10
    assert near.axis.low < 90
    far = distribution(timing(SAMPLES, predicted_ms=10.0))
    assert "predicted" not in [line.kind for line in far.lines]


def test_the_dots_are_in_the_order_of_measuring():
    samples = [float(i) for i in range(11)]
    dots = distribution(timing(samples)).dots
    heights = [float(at) for at in re.findall(r" ([\d.]+)h0", dots)]
    assert dots.startswith("M0.00 ")
    assert dots.endswith("h0")
    assert "M100.00 " in dots
    assert heights == sorted(heights, reverse=True)
    assert (heights[0], heights[-1]) == pytest.approx((100, 0), abs=5)


def test_a_few_outliers_do_not_squeeze_the_rest():
    shown = distribution(timing([*SAMPLES, 5000.0, 6000.0]))
    assert shown.axis.high < 140
    assert shown.beyond == 2
    assert sum(int(bar.tip.split()[0]) for bar in shown.bins) == 200
    assert " 0.0h0" in shown.dots


def test_a_percentile_beyond_the_axis_is_at_its_end():
    shown = distribution(timing([*SAMPLES, *[5000.0] * 10]))
    (p99,) = [line for line in shown.lines if line.kind == "p99"]
    assert (p99.at, p99.text) == (100, "p99 5.000 s →")


@pytest.mark.parametrize("samples", [[1.0, 2.0, 3.0], [5.0] * 50], ids=["few", "equal"])
def test_samples_that_show_nothing_are_not_shown(samples):
    assert distribution(timing(samples)) is None
