"""When rounds allow a conclusion."""

import os
import time
from dataclasses import replace

import pytest

from benchmarks.beside.noise import (
    CpuTime,
    Figure,
    Sample,
    bandwidths,
    compare,
    of_bandwidth,
    others_share,
    read_cpu_time,
)


def side(*values, **first):
    """A sample for each round, undisturbed; ``first`` changes that of the first one."""
    samples = [[Sample(value=value)] for value in values]
    return [[replace(samples[0][0], **first)], *samples[1:]]


def at(gb_per_s, *values):
    """Samples of one round, measured at a bandwidth."""
    return [Sample(value=value, read_gb_per_s=(gb_per_s, 1.02 * gb_per_s)) for value in values]


def test_a_figure_is_the_median_and_both_ends():
    figure = Figure.of([10.0, 30.0, 11.0])
    assert (figure.median, figure.least, figure.most) == (11.0, 10.0, 30.0)
    assert figure.spread == pytest.approx(20 / 11)


def test_the_ratio_is_that_of_each_round_so_a_slow_round_of_both_sides_does_no_harm():
    comparison = compare(side(30.0, 15.0, 30.0), side(20.0, 10.0, 20.0), more_is_better=True)
    assert comparison.conclusive
    assert comparison.ratio == Figure(median=1.5, least=1.5, most=1.5)


def test_less_is_better_for_times():
    comparison = compare(side(1.0, 1.0, 1.0), side(3.0, 3.0, 3.0), more_is_better=False)
    assert comparison.ratio.median == 3.0


DISTURBED = [
    pytest.param({"others": 0.2}, "others took up to 20%", id="busy-machine"),
    pytest.param(
        {"read_gb_per_s": (40.0, 60.0)}, "bandwidth went from 40 to 60", id="bandwidth-changed"
    ),
]


@pytest.mark.parametrize(("change", "reason"), DISTURBED)
def test_a_disturbed_round_does_not_count(change, reason):
    ours = side(90.0, 30.0, 30.0, 30.0, **change)
    comparison = compare(ours, side(*[20.0] * 4), more_is_better=True)
    assert comparison.conclusive
    assert comparison.ratio.most == 1.5


@pytest.mark.parametrize(("change", "reason"), DISTURBED)
def test_too_few_rounds_that_count_give_no_verdict(change, reason):
    comparison = compare(side(*[30.0] * 3, **change), side(*[20.0] * 3), more_is_better=True)
    assert not comparison.conclusive
    assert "2 of 3 rounds count" in comparison.reasons[0]
    assert reason in comparison.reasons[0]


def test_a_round_of_several_samples_counts_with_the_median_of_those_that_do():
    ours = [[*at(40.0, 30.0, 31.0, 32.0), Sample(value=99.0, others=0.5)]] * 3
    comparison = compare(ours, [at(40.0, 20.0)] * 3, more_is_better=True)
    assert comparison.ratio.median == 31.0 / 20.0


def test_samples_are_told_apart_by_their_bandwidth():
    ours = [at(40.0, 15.0, 15.5) + at(80.0, 23.0), at(41.0, 15.2), at(80.0, 22.0)]
    assert bandwidths([ours, [at(82.0, 1.0)] * 3]) == pytest.approx([82.0, 40.4], rel=0.03)
    assert of_bandwidth(ours, 40.0) == [at(40.0, 15.0, 15.5), at(41.0, 15.2), []]


def test_a_sample_in_which_the_bandwidth_changed_is_of_none():
    changed = [[Sample(value=1.0, read_gb_per_s=(40.0, 80.0))]]
    assert bandwidths([changed]) == []
    assert of_bandwidth(changed, 40.0) == of_bandwidth(changed, 80.0) == [[]]


def test_samples_without_a_bandwidth_are_of_none_in_particular():
    assert bandwidths([side(1.0, 2.0)]) == []


def test_sides_that_never_met_in_a_round_are_not_compared():
    ours, theirs = [at(40.0, 30.0), [], []], [[], at(40.0, 20.0), []]
    comparison = compare(ours, theirs, more_is_better=True)
    assert comparison.ratio.median == 1.5
    assert "0 of 3 rounds count" in comparison.reasons[0]


def test_ratios_that_differ_give_no_verdict():
    comparison = compare(side(30.0, 20.0, 30.0), side(*[20.0] * 3), more_is_better=True)
    assert comparison.reasons == ("the ratio spreads over 33%, 15% is allowed",)


def test_others_are_all_busy_ticks_but_those_of_the_measured_program():
    begin = CpuTime(total=1000, busy=500, own=100)
    end = CpuTime(total=1200, busy=650, own=200)
    assert others_share(begin, end) == 0.25
    assert others_share(begin, begin) == 0.0


def test_own_work_counts_as_own():
    begin, stop = read_cpu_time(), time.process_time() + 0.1
    while time.process_time() < stop:
        pass
    end = read_cpu_time()
    assert end.own - begin.own >= 0.08 * os.sysconf("SC_CLK_TCK")
    assert end.busy - begin.busy >= 0.08 * os.sysconf("SC_CLK_TCK")
