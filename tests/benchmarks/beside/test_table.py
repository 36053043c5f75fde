"""Which mode counts, and what the table says."""

import pytest

from benchmarks.beside.machine import Limits, RowLimit
from benchmarks.beside.noise import Sample
from benchmarks.beside.rows import Row
from benchmarks.beside.table import best_mode, format_limits, format_table, make_lines

DECODE = Row(key="decode", title="decode", kind="decode", threads=2)
START = Row(key="start_warm", title="start", kind="start", threads=2)
MEMORY = Row(key="anonymous", title="peak anonymous", kind="memory", threads=2)


BANDWIDTH = {"read_gb_per_s": (39.0, 41.0), "read_huge_gb_per_s": (50.0, 50.0)}


def side(*values: float, **fields) -> list[list[Sample]]:
    return [[Sample(value=value, **fields)] for value in values]


def both(one, other):
    """The samples of each round of two sides."""
    return [a + b for a, b in zip(one, other, strict=True)]


@pytest.mark.parametrize(
    ("row", "mode"),
    [
        pytest.param(DECODE, "resident", id="most-tokens-a-second"),
        pytest.param(START, "mapped", id="least-seconds"),
        pytest.param(MEMORY, "mapped", id="memory-is-that-of-mapped-weights"),
    ],
)
def test_each_side_is_judged_by_its_best_mode(row, mode):
    modes = {"mapped": side(1.0, 2.0, 90.0), "resident": side(3.0, 4.0, 5.0)}
    assert best_mode(row, modes) == mode


def test_memory_is_that_of_mapped_weights_even_where_another_mode_needs_less():
    modes = {"mapped": side(2.0), "resident": side(1.0)}
    assert best_mode(MEMORY, modes) == "mapped"


def test_a_line_compares_the_best_modes_and_says_how_near_the_limits_are():
    ours = {
        "mapped": side(10.0, 10.0, 10.0, **BANDWIDTH),
        "resident": side(15.0, 15.0, 15.0, **BANDWIDTH),
    }
    theirs = {
        "mapped": side(5.0, 5.0, 5.0, **BANDWIDTH),
        "repacked": side(6.0, 6.0, 6.0, **BANDWIDTH),
    }
    (line,) = make_lines(DECODE, ours, theirs, RowLimit(bytes=2e9))
    assert str(line.band) == "40"
    assert line.comparison.ratio.median == 2.5
    assert line.ours.limit_percent == pytest.approx(60)  # 15 × 2 of 50 GB/s from huge pages
    assert line.theirs.limit_percent == pytest.approx(30)  # 6 × 2 of 40 GB/s from small ones
    table = format_table([line])
    assert "15.00 tok/s ±0%, resident | 60 % | 6.00 tok/s ±0%, repacked | 30 %" in table
    assert "2.50× (2.50–2.50)" in table
    assert "no verdict" not in table


def test_prompts_are_held_against_arithmetic():
    limit = RowLimit(operations=4e9, operations_per_s=800e9)
    samples = [Sample(value=value) for value in (40.0, 50.0, 90.0)]
    assert limit.percent("mapped", samples) == pytest.approx(25)


def test_a_noisy_line_has_no_verdict_and_says_why():
    noisy = {"mapped": side(10.0, 20.0, 10.0, others=0.5)}
    (line,) = make_lines(DECODE, noisy, {"mapped": side(5.0, 5.0, 5.0)}, RowLimit())
    assert "no verdict: 0 of 3 rounds count" in format_table([line])
    assert "others took up to 50% of the CPUs" in format_table([line])


def test_figures_are_those_of_the_rounds_that_count():
    ours = {"mapped": [*side(10.0, 10.0, 10.0), *side(99.0, others=0.5)]}
    (line,) = make_lines(DECODE, ours, {"mapped": side(5.0, 5.0, 5.0, 1.0)}, RowLimit())
    assert line.ours.figure.most == 10.0
    assert line.theirs.figure.least == 5.0


def test_each_band_has_a_line_and_a_best_mode_of_its_own():
    slow, fast = (
        {"read_gb_per_s": (rate, rate), "read_huge_gb_per_s": (rate, rate)} for rate in (40.0, 80.0)
    )
    ours = {
        "mapped": both(side(15.0, 15.0, 15.0, **slow), side(22.0, 22.0, 22.0, **fast)),
        "resident": side(14.0, 14.0, 14.0, **slow),
    }
    theirs = {"mapped": both(side(13.0, 13.0, 13.0, **slow), side(14.0, 14.0, 14.0, **fast))}
    lines = make_lines(DECODE, ours, theirs, RowLimit(bytes=2e9))
    assert [str(line.band) for line in lines] == ["40", "80"]
    assert [line.ours.mode for line in lines] == ["mapped", "mapped"]
    assert [line.comparison.ratio.median for line in lines] == pytest.approx([15 / 13, 22 / 14])
    assert all(line.comparison.conclusive for line in lines)
    assert "| decode, reading 80 GB/s | 22.00 tok/s" in format_table(lines)


def test_a_mode_that_starts_slowly_is_not_the_best_of_a_band_that_the_other_did_not_meet():
    changed, slow = ({"read_gb_per_s": rates} for rates in ((40.0, 80.0), (40.0, 40.0)))
    ours = {"mapped": side(0.3, 0.3, 0.3, **changed), "resident": side(9.0, 9.0, 9.0, **slow)}
    (line,) = make_lines(START, ours, {"mapped": side(1.0, 1.0, 1.0, **slow)}, RowLimit())
    assert line.ours.mode == "mapped"
    assert not line.comparison.conclusive


def test_limits_are_printed_for_each_number_of_threads():
    limits = Limits(
        threads=2, read_gb_per_s=33.0, read_huge_gb_per_s=42.0, f32_gflops=249.0, int8_gops=1945.0
    )
    text = format_limits([limits])
    assert text.startswith("Limits of 2 threads: read 33.0 GB/s, from huge pages 42.0")
    assert "int8 1945 GOP/s" in text
