"""Which mode counts, and what the table says."""

import pytest

from benchmarks.beside.rows import Row, Sample
from benchmarks.beside.table import best_mode, format_table, make_line

DECODE = Row(key="decode", title="decode", kind="decode", threads=2)
START = Row(key="start_warm", title="start", kind="start", threads=2)
MEMORY = Row(key="anonymous", title="peak anonymous", kind="memory", threads=2)


def samples(*values: float, others: float = 0.0) -> list[Sample]:
    return [Sample(value=value, others=others) for value in values]


@pytest.mark.parametrize(
    ("row", "mode"),
    [
        pytest.param(DECODE, "resident", id="most-tokens-a-second"),
        pytest.param(START, "mapped", id="least-seconds"),
        pytest.param(MEMORY, "mapped", id="memory-is-that-of-mapped-weights"),
    ],
)
def test_each_side_is_judged_by_its_best_mode(row, mode):
    modes = {"mapped": samples(1.0, 2.0, 90.0), "resident": samples(3.0, 4.0, 5.0)}
    assert best_mode(row, modes) == mode


def test_memory_is_that_of_mapped_weights_even_where_another_mode_needs_less():
    modes = {"mapped": samples(2.0), "resident": samples(1.0)}
    assert best_mode(MEMORY, modes) == "mapped"


def test_a_line_compares_the_best_modes_and_says_how_near_the_limits_are():
    ours = {"mapped": samples(10.0, 10.0, 10.0), "resident": samples(15.0, 15.0, 15.0)}
    theirs = {"mapped": samples(5.0, 5.0, 5.0), "repacked": samples(6.0, 6.0, 6.0)}
    line = make_line(DECODE, ours, theirs, {"resident": 20.0, "repacked": 12.0})
    assert line.comparison.ratio.median == 2.5
    assert (line.ours.limit_percent, line.theirs.limit_percent) == (75.0, 50.0)
    table = format_table([line])
    assert "15.00 tok/s ±0%, resident | 75 % | 6.00 tok/s ±0%, repacked | 50 %" in table
    assert "2.50× (2.50–2.50)" in table
    assert "no verdict" not in table


def test_a_noisy_line_has_no_verdict_and_says_why():
    noisy = {"mapped": samples(10.0, 20.0, 10.0, others=0.5)}
    line = make_line(DECODE, noisy, {"mapped": samples(5.0, 5.0, 5.0)}, {})
    assert "no verdict: the ratio spreads over 100%" in format_table([line])
    assert "others took 50% of the CPUs" in format_table([line])


def test_rounds_of_the_mode_that_is_not_chosen_do_not_disturb():
    ours = {"mapped": samples(1.0, 9.0, 2.0, others=0.9), "resident": samples(20.0, 20.0, 20.0)}
    line = make_line(DECODE, ours, {"mapped": samples(5.0, 5.0, 5.0)}, {})
    assert line.comparison.conclusive
