"""When rounds allow a conclusion."""

import os
import time

import pytest

from benchmarks.beside.noise import CpuTime, Figure, compare, others_share, read_cpu_time

CALM = (0.0, 0.01)


def test_a_figure_is_the_median_and_both_ends():
    figure = Figure.of([10.0, 30.0, 11.0])
    assert (figure.median, figure.least, figure.most) == (11.0, 10.0, 30.0)
    assert figure.spread == pytest.approx(20 / 11)


def test_the_ratio_is_that_of_each_round_so_a_slow_round_of_both_sides_does_no_harm():
    comparison = compare([30.0, 15.0, 30.0], [20.0, 10.0, 20.0], CALM, more_is_better=True)
    assert comparison.conclusive
    assert comparison.ratio == Figure(median=1.5, least=1.5, most=1.5)


def test_less_is_better_for_times():
    comparison = compare([1.0, 1.0, 1.0], [3.0, 3.0, 3.0], CALM, more_is_better=False)
    assert comparison.ratio.median == 3.0


@pytest.mark.parametrize(
    ("ours", "others", "reason"),
    [
        pytest.param([30.0, 30.0], CALM, "2 rounds", id="few-rounds"),
        pytest.param([30.0, 20.0, 30.0], CALM, "spreads over 33%", id="spread"),
        pytest.param([30.0, 30.0, 30.0], (0.0, 0.2), "others took 20%", id="busy-machine"),
    ],
)
def test_noise_gives_no_verdict(ours, others, reason):
    comparison = compare(ours, [20.0] * len(ours), others, more_is_better=True)
    assert not comparison.conclusive
    assert reason in comparison.reasons[0]


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
