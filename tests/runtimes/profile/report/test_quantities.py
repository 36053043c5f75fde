"""Numbers as people read them."""

import pytest

from ossc.runtimes.profile.report.quantities import (
    format_change,
    format_noise,
    format_share,
    format_time,
    shorten,
    significant,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.00123, "0.00123"),
        (29.46, "29.5"),
        (99.96, "100"),
        (12345.0, "12300"),
        (-2.5, "-2.50"),
        (float("inf"), "inf"),
    ],
)
def test_three_digits_count(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.00095, "0.950 µs"),
        (0.0321, "32.1 µs"),
        (0.99996, "1.00 ms"),
        (95.236, "95.2 ms"),
        (999.96, "1.00 s"),
        (13571.1, "13.6 s"),
    ],
)
def test_a_time_is_in_the_unit_that_fits_it(ms, text):
    assert format_time(ms) == text


def test_a_time_may_have_more_digits():
    assert format_time(95.236, 4) == "95.24 ms"


def test_shares_and_changes_are_in_percent():
    assert (format_share(0.2374), format_share(0.2374, 0), format_share(None)) == (
        "23.7 %",
        "24 %",
        "–",
    )
    assert (format_change(0.0526), format_change(-0.1), format_change(None)) == (
        "+5.3 %",
        "-10.0 %",
        "–",
    )


def test_a_long_text_is_cut():
    assert shorten("expert_swiglu", 13) == "expert_swiglu"
    assert shorten("expert_swiglu", 8) == "expert_…"


def test_what_a_terminal_would_obey_is_replaced():
    assert shorten("a\x1b[31mb\nc\u202ed", 20) == "a�[31mb�c�d"


def test_a_large_noise_needs_no_decimals():
    assert (format_noise(0.0023), format_noise(1.308)) == ("±0.2 %", "±131 %")
