"""When rounds allow a conclusion."""

import os
import time
from dataclasses import replace

import pytest

from benchmarks.beside.noise import (
    Band,
    CpuTime,
    Figure,
    Sample,
    bands,
    compare,
    have_met,
    of_band,
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


def test_bands_are_bandwidths_without_a_gap():
    ours = [at(40.0, 15.0) + at(80.0, 23.0), at(43.0, 15.2), at(86.0, 22.0)]
    found = bands([ours, [at(46.0, 1.0)] * 3])
    assert list(map(str, found)) == ["40–46", "81–87"]
    assert of_band(ours, found[0]) == [at(40.0, 15.0), at(43.0, 15.2), []]


def test_a_sample_in_which_the_bandwidth_changed_is_of_no_band():
    changed = [[Sample(value=1.0, read_gb_per_s=(40.0, 80.0))]]
    assert bands([changed]) == []
    assert of_band(changed, Band(30.0, 90.0)) == [[]]


def test_where_bandwidth_does_not_matter_there_is_no_band():
    assert bands([side(1.0, 2.0)]) == []


def test_in_a_band_each_sample_is_compared_with_the_nearest_of_its_bandwidth():
    """Theirs goes with the bandwidth, ours is twice as fast: whatever each met."""
    ours = [at(40.0, 20.0) + at(52.0, 26.0)] * 3
    theirs = [at(40.5, 10.0) + at(46.0, 11.5) + at(52.5, 13.0)] * 3
    comparison = compare(ours, theirs, more_is_better=True)
    assert comparison.conclusive
    assert comparison.ratio.least == comparison.ratio.most == 2.0


def test_a_round_in_which_the_sides_met_no_bandwidth_in_common_does_not_count():
    comparison = compare([at(40.0, 30.0)] * 3, [at(52.0, 20.0)] * 3, more_is_better=True)
    assert "0 of 3 rounds count" in comparison.reasons[0]


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


def test_turns_have_met_when_some_samples_are_of_one_bandwidth():
    slow, fast = at(50.0, 1.0, 2.0, 3.0), at(90.0, 1.0, 2.0, 3.0)
    assert have_met(slow, [])
    assert have_met(slow, [slow, fast + slow])
    assert not have_met(slow, [slow, fast])
    assert not have_met(slow[:2], [slow])


def test_nothing_waits_for_a_turn_whose_bandwidth_always_changed():
    changing = [Sample(value=1.0, read_gb_per_s=(40.0, 90.0))] * 4
    assert have_met(at(50.0, 1.0), [changing])
