"""The map of experts."""

import re

from ossc.runtimes.profile.profile import ExpertUse
from ossc.runtimes.profile.report.plots.heat_map import LEVELS, heat_map, legend, level, side


def use(*counts, layer=0):
    return ExpertUse(
        layer=layer, counts=counts, ms=(0.0,) * len(counts), expert_bytes=1, entropy=1.0
    )


def cells(path):
    """Column and row of each square."""
    return [(int(float(x)), int(float(y))) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", path)]


def test_every_expert_that_was_chosen_is_one_square():
    shown = heat_map([use(5, 0, 7, 12), use(1, 1, 1, 1, layer=1)])
    assert (shown.columns, shown.rows) == (4, 2)
    found = sorted(cell for path in shown.squares for cell in cells(path))
    assert found == [(0, 0), (0, 1), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]


def test_an_expert_that_was_never_chosen_is_a_cross():
    assert heat_map([use(5, 0, 7, 12)]).crosses.startswith("M1.3 0.3")


def test_even_use_is_in_the_middle_and_twice_of_it_is_higher():
    shown = heat_map([use(10, 10, 20, 0)])
    assert cells(shown.squares[level(1)]) == [(0, 0), (1, 0)]
    assert cells(shown.squares[level(2)]) == [(2, 0)]


def test_colour_and_size_both_grow_with_the_use():
    uses = [0.01, 0.1, 0.3, 0.6, 1.1, 1.6, 2.1, 3.5]
    levels = [level(value) for value in uses]
    sides = [side(value) for value in uses]
    assert levels == sorted(levels)
    assert (levels[0], levels[-1]) == (0, len(LEVELS))
    assert sides == sorted(sides)
    assert max(side(100.0), *sides) < 1


def test_a_layer_that_was_never_run_is_a_row_of_crosses():
    shown = heat_map([use(0, 0)])
    assert not any(shown.squares)
    assert shown.crosses.count("M") == 2


def test_the_legend_has_a_square_for_each_level():
    steps = legend()
    assert len(steps) == len(LEVELS) + 1
    assert [step.side for step in steps] == sorted({step.side for step in steps})
