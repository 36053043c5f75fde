"""Experts by layer: how often each was chosen, against even use of all.

A cell is a square whose area and whose colour both grow with the use, so that neither has to be
told apart by hue; an expert that was never chosen is a cross.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ossc.runtimes.profile.profile import ExpertUse

LEVELS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Use over even use at which the next colour begins."""

LARGEST = 4.0
"""Use over even use at which a square fills its cell."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One colour of the legend."""

    text: str
    side: float
    """Of its square, in percent of a cell."""


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Columns are experts, rows are layers; a cell is one unit wide and high."""

    columns: int
    rows: int
    squares: tuple[str, ...]
    """A path for each level."""
    crosses: str
    """Path over the experts that were never chosen."""


def heat_map(experts: Sequence[ExpertUse]) -> HeatMap:
    """Lay out the experts of all layers; at least one layer."""
    columns = max(len(use.counts) for use in experts)
    squares = [""] * (len(LEVELS) + 1)
    crosses = ""
    for row, use in enumerate(experts):
        even = sum(use.counts) / max(1, len(use.counts))
        for column, count in enumerate(use.counts):
            if count:
                squares[level(count / even)] += _square(column, row, side(count / even))
            else:
                crosses += f"M{column}.3 {row}.3l.4 .4m0-.4l-.4 .4"
    return HeatMap(columns=columns, rows=len(experts), squares=tuple(squares), crosses=crosses)


def level(use: float) -> int:
    """Return the level of a use over even use, 0 for the least."""
    return sum(use >= begin for begin in LEVELS)


def side(use: float) -> float:
    """Return the side of a square for a use over even use, as a fraction of its cell."""
    return max(0.16, min(0.96, math.sqrt(use / LARGEST)))


def legend() -> list[Step]:
    """Return the levels, with squares of the size in the middle of each."""
    ends = [0.0, *LEVELS, LARGEST]
    middles = [(low + high) / 2 for low, high in pairwise(ends)]
    texts = [f"< {LEVELS[0]:g}×", *(f"{begin:g}×" for begin in LEVELS)]
    return [
        Step(text=text, side=round(100 * side(middle)))
        for text, middle in zip(texts, middles, strict=True)
    ]


def _square(column: int, row: int, size: float) -> str:
    inset = (1 - size) / 2
    return f"M{column + inset:.2f} {row + inset:.2f}h{size:.2f}v{size:.2f}h-{size:.2f}z"
