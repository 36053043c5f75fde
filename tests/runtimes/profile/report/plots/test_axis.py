"""Axes of plots."""

import pytest

from ossc.runtimes.profile.report.plots.axis import Axis, logarithmic_axis


def texts(axis, most=6):
    return [mark.text for mark in axis.marks(most)]


def test_a_value_is_at_its_percent_of_the_way():
    assert Axis(low=10, high=20).at(12.5) == 25
    assert Axis(low=1, high=10000, logarithmic=True).at(10) == 25


def test_an_axis_without_length_puts_everything_at_its_begin():
    axis = Axis(low=3, high=3)
    assert axis.at(3) == 0
    assert texts(axis) == ["3"]


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0, 3.3, ["0", "1", "2", "3"]),
        (93.1, 101.2, ["94", "96", "98", "100"]),
        (0, 0.004, ["0", "0.001", "0.002", "0.003", "0.004"]),
        (0, 120000, ["0", "20000", "40000", "60000", "80000", "100000", "120000"][:7]),
    ],
)
def test_marks_are_at_round_values(low, high, marks):
    assert texts(Axis(low=low, high=high), 6) == marks


@pytest.mark.parametrize("high", [1.0, 1.3, 2.7, 5.1, 9.99, 1234.5])
@pytest.mark.parametrize("most", [3, 5, 8])
def test_marks_are_few_and_on_the_axis(high, most):
    marks = Axis(low=0, high=high).marks(most)
    assert 2 <= len(marks) <= most + 1
    assert all(0 <= mark.at <= 100 for mark in marks)


def test_a_short_logarithmic_axis_has_marks_between_the_powers_of_ten():
    axis = Axis(low=4, high=110, logarithmic=True)
    assert texts(axis) == ["5", "10", "20", "50", "100"]


def test_a_long_logarithmic_axis_has_some_of_the_powers_of_ten():
    axis = Axis(low=0.5, high=2e9, logarithmic=True)
    assert texts(axis) == ["1", "100", "10000", "1e+06", "1e+08"]


def test_a_logarithmic_axis_has_room_around_its_values():
    axis = logarithmic_axis([10.0, 1000.0], room=2)
    assert (axis.low, axis.high) == (5, 2000)
