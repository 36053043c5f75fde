"""Numbers on the command line."""

import click
import pytest

from ossc.compiler.cli.numbers import Real, WholeNumber


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("12", 12), ("007", 7), ("-3", -3)])
def test_digits_are_a_whole_number(text, value):
    assert WholeNumber(-5).convert(text, None, None) == value


@pytest.mark.parametrize("text", ["1_0", "+1", " 1", "\uff11", "1.0", "", "-", "0x1", "-6"])
def test_other_spellings_are_refused(text):
    with pytest.raises(click.BadParameter):
        WholeNumber(-5).convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "value"), [("0.5", 0.5), (".5", 0.5), ("5.", 5.0), ("1e-3", 1e-3), ("3.4e38", 3.4e38)]
)
def test_reals_are_read(text, value):
    assert Real(0).convert(text, None, None) == value


@pytest.mark.parametrize("text", ["nan", "inf", "1e39", "1_0", "0x1", "1e", ".", "", " 1", "+1"])
def test_what_float32_does_not_hold_is_refused(text):
    with pytest.raises(click.BadParameter):
        Real(0).convert(text, None, None)


def test_the_range_is_that_of_the_rounded_number():
    assert Real(0, 1).convert("1.00000001", None, None) == pytest.approx(1)
    with pytest.raises(click.BadParameter):
        Real(0, 1, min_open=True).convert("1e-60", None, None)
