"""When rounds allow a conclusion."""

import os
import time
from dataclasses import replace

import pytest

from benchmarks.beside.noise import CpuTime, Figure, Sample, compare, others_share, read_cpu_time


def rounds(ours, theirs, **first):
    """Rounds of undisturbed samples; ``first`` changes our sample of the first one."""
    pairs = [(Sample(value=a), Sample(value=b)) for a, b in zip(ours, theirs, strict=True)]
    return [(replace(pairs[0][0], **first), pairs[0][1]), *pairs[1:]]


def test_a_figure_is_the_median_and_both_ends():
    figure = Figure.of([10.0, 30.0, 11.0])
    assert (figure.median, figure.least, figure.most) == (11.0, 10.0, 30.0)
    assert figure.spread == pytest.approx(20 / 11)


def test_the_ratio_is_that_of_each_round_so_a_slow_round_of_both_sides_does_no_harm():
    slow_round = rounds([30.0, 15.0, 30.0], [20.0, 10.0, 20.0])
    comparison = compare(slow_round, more_is_better=True)
    assert comparison.conclusive
    assert comparison.ratio == Figure(median=1.5, least=1.5, most=1.5)


def test_less_is_better_for_times():
    comparison = compare(rounds([1.0] * 3, [3.0] * 3), more_is_better=False)
    assert comparison.ratio.median == 3.0


DISTURBED = [
    pytest.param({"others": 0.2}, "others took up to 20%", id="busy-machine"),
    pytest.param(
        {"read_gb_per_s": (40.0, 60.0)}, "bandwidth went from 40 to 60", id="bandwidth-changed"
    ),
]


@pytest.mark.parametrize(("change", "reason"), DISTURBED)
def test_a_disturbed_round_does_not_count(change, reason):
    four = rounds([90.0, 30.0, 30.0, 30.0], [20.0] * 4, **change)
    comparison = compare(four, more_is_better=True)
    assert comparison.conclusive
    assert comparison.ratio.most == 1.5


@pytest.mark.parametrize(("change", "reason"), DISTURBED)
def test_too_few_rounds_that_count_give_no_verdict(change, reason):
    comparison = compare(rounds([30.0] * 3, [20.0] * 3, **change), more_is_better=True)
    assert not comparison.conclusive
    assert "2 of 3 rounds count" in comparison.reasons[0]
    assert reason in comparison.reasons[0]


def test_sides_that_met_another_bandwidth_are_not_compared():
    fast = Sample(value=30.0, read_gb_per_s=(60.0, 61.0))
    slow = Sample(value=20.0, read_gb_per_s=(33.0, 34.0))
    comparison = compare([(fast, slow)] * 3, more_is_better=True)
    assert "0 of 3 rounds count" in comparison.reasons[0]


def test_ratios_that_differ_give_no_verdict():
    comparison = compare(rounds([30.0, 20.0, 30.0], [20.0] * 3), more_is_better=True)
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
