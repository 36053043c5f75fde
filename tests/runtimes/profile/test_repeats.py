"""Which repeats count, and how many are made."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ossc.runtimes.profile.repeats import MAX_DRIFT, MAX_TRIES, MAX_WAITED, Repeat, Series, waited


def repeat(number: int, waited_s: float = 0.0) -> Repeat:
    return Repeat(
        plain_ms=(float(number),), timed_ms=(number + 0.5,), calls=(), thread_s=1.0,
        waited_s=waited_s,
    )  # fmt: skip


def run(
    rates: Sequence[float],
    waiting: Sequence[float] = (),
    *,
    wanted: int = 3,
    may_wait: bool = False,
) -> Series:
    """Measure on a machine that gives one rate after the other, and then always the last one."""
    series = Series(wanted=wanted, working_set_bytes=1 << 28, may_wait=may_wait)
    probed = iter(rates)
    last = rates[-1]

    def measure(plain_first: bool) -> Repeat:
        number = len(series.made)
        assert plain_first == (number % 2 == 0)
        return repeat(number, waiting[number] if number < len(waiting) else 0.0)

    series.run(measure, lambda: next(probed, last))
    return series


def counted(series: Series) -> list[float]:
    return [one.plain_ms[0] for one in series.used]


def test_on_a_machine_that_stays_as_it_is_every_repeat_counts():
    series = run([40.0, 41.0, 40.5, 39.8])
    assert (len(series.made), counted(series)) == (3, [0, 1, 2])
    conditions = series.conditions()
    assert conditions.steady
    assert (conditions.repeats, conditions.left_out) == (3, 0)
    assert conditions.read_gb_per_s == pytest.approx(40.5, abs=0.3)


def test_a_repeat_in_which_the_bandwidth_changed_is_made_again():
    series = run([40.0, 80.0, 40.0])
    assert counted(series) == [2, 3, 4]
    conditions = series.conditions()
    assert (conditions.repeats, conditions.left_out, conditions.steady) == (3, 2, True)
    assert conditions.read_gb_per_s == 40.0
    assert (conditions.lowest_gb_per_s, conditions.highest_gb_per_s) == (40.0, 80.0)


def test_repeats_of_two_bandwidths_are_not_mixed():
    series = run([40.0, 40.0, 40.0, 80.0])
    assert counted(series) == [3, 4, 5]
    assert series.conditions().read_gb_per_s == 80.0


def test_a_repeat_in_which_threads_waited_is_made_again():
    series = run([40.0], [0.0, 2 * MAX_WAITED, 0.0, 0.0])
    assert counted(series) == [0, 2, 3]
    assert series.conditions().most_waited == 2 * MAX_WAITED
    assert series.conditions().waited == 0.0


def test_threads_that_have_to_wait_for_each_other_may():
    series = run([40.0], [0.4, 0.5, 0.6], may_wait=True)
    assert counted(series) == [0, 1, 2]
    assert series.conditions().waited == pytest.approx(0.5)


def test_when_too_few_count_all_are_reported_and_the_profile_says_so():
    rates = [40.0 * (1 + 2 * MAX_DRIFT) ** n for n in range(MAX_TRIES * 3 + 1)]
    series = run(rates)
    assert len(series.made) == MAX_TRIES * 3
    assert len(series.used) == len(series.made)
    assert (series.conditions().steady, series.conditions().left_out) == (False, 0)


def test_a_single_repeat_may_be_asked_for():
    series = run([40.0, 80.0, 80.0], wanted=1)
    assert counted(series) == [1]
    assert series.conditions().steady


def test_without_a_probe_only_waiting_is_looked_at():
    series = Series(wanted=2)
    series.run(lambda _: repeat(len(series.made), (0.9, 0.0)[len(series.made) > 0]))
    assert counted(series) == [1, 2]
    conditions = series.conditions()
    assert conditions.read_gb_per_s is conditions.lowest_gb_per_s is None


def test_samples_stay_in_the_order_of_measuring():
    series = run([40.0, 40.0, 80.0, 40.0])
    assert series.plain_ms == [0.0, 3.0, 4.0]


def test_waiting_is_a_share_of_all_the_threads_time():
    repeats = [repeat(0, 0.1), replace(repeat(1, 0.2), thread_s=2.0)]
    assert waited(repeats) == pytest.approx(0.1)
    assert waited([]) == 0.0
