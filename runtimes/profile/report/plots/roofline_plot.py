"""The roofline plot: what kernels reach, below what the machine can do at most.

Both axes are logarithmic: operations for each byte moved, and operations in a second. A rate of
memory is a diagonal, a rate of arithmetic a horizontal line.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ossc.runtimes.profile.profile import KernelTimes, PhaseName
from ossc.runtimes.profile.report.plots.axis import Axis, logarithmic_axis
from ossc.runtimes.profile.report.plots.families import Family, family
from ossc.runtimes.profile.report.quantities import significant
from ossc.runtimes.profile.roofline import Roofline
from ossc.runtimes.sizes import format_bytes

MIN_GAP = 9.0
"""Percent of the plot's height between two lines of memory that are both drawn."""

MIN_TEXT_GAP = 4.5
"""Percent of the plot's height between two lines whose texts are both above them."""

MAX_TAGS = 8
"""Kernels of a phase that have their tag written beside them."""

LEAST_SHARE = 0.001
"""Share of the phase below which a kernel is not shown."""

WIDTH, HEIGHT = 900, 420
"""Pixels of the plot for which tags are placed; elsewhere they lie a little off."""

NARROW_WIDTH, NARROW_HEIGHT = 270, 320
"""Pixels of the plot on a phone, which shows only the tags that do not collide there."""

NARROW_LEAST_SHARE = 0.01
"""Share of the phase of a kernel with a tag on a phone."""


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """A limit of the machine."""

    x1: float
    y1: float
    x2: float
    y2: float
    text: str
    diagonal: bool
    main: bool
    """Whether it is the memory itself, or the highest rate of its arithmetic."""
    below: bool = False
    """Whether the text is below the line, because the next line is close above."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A kernel."""

    x: float
    y: float
    radius: float
    """Pixels; the area is the share of the phase."""
    phase: PhaseName
    family: Family
    row: KernelTimes
    tag: str
    tag_dx: float | None
    """Pixels from the point to its tag; None where there is no room."""
    tag_dy: float
    tag_narrow: bool


@dataclass(frozen=True, kw_only=True)
class RooflinePlot:
    """All that the plot shows."""

    x: Axis
    y: Axis
    ceilings: tuple[Ceiling, ...]
    points: tuple[Point, ...]
    left_out: int
    """Kernels that are not shown."""


def roofline_plot(
    roofline: Roofline, tagged: Sequence[tuple[str, KernelTimes]], int8: str = "int8"
) -> RooflinePlot:
    """Lay out the kernels, each given with its tag; those that only copy are left out.

    Args:
        roofline: The limits.
        tagged: The kernels.
        int8: What the limit of int8 is called.
    """
    rows = [(tag, row) for tag, row in tagged if _is_shown(row)]
    slowest = min(roofline.read_gb_per_s.values())
    arithmetic = _arithmetic(roofline, [row for _, row in rows], int8)
    ridges = [rate / slowest for rate in arithmetic.values()]
    x = logarithmic_axis([*(row.operations / row.bytes for _, row in rows), *ridges])
    top = max(arithmetic.values())
    y = logarithmic_axis([*(row.gop_per_s for _, row in rows), *arithmetic.values(), 1.6 * top])
    rates = _apart(roofline, y)
    ceilings = [
        *_memory(rates, x, y, top),
        *_compute(arithmetic, x, y, max(rates.values())),
    ]
    points = [_point(tag, row, x, y) for tag, row in rows]
    return RooflinePlot(
        x=x,
        y=y,
        ceilings=tuple(ceilings),
        points=tuple(_place_tags(points)),
        left_out=len(tagged) - len(rows),
    )


def _is_shown(row: KernelTimes) -> bool:
    return bool(row.bytes and row.operations and row.gop_per_s) and row.share >= LEAST_SHARE


def _arithmetic(roofline: Roofline, rows: Sequence[KernelTimes], int8: str) -> dict[str, float]:
    """The rates of arithmetic; int8 in two terms only where a kernel was held back by it."""
    rates = {"f32": roofline.f32_gflops, int8: roofline.int8_gops}
    reached = [row.gop_per_s / row.of_bound for row in rows if row.bound == "int8" and row.of_bound]
    if any(abs(2 * rate / roofline.int8_gops - 1) < 0.1 for rate in reached):
        rates["int8 in two terms"] = roofline.int8_gops / 2
    return rates


def _apart(roofline: Roofline, y: Axis) -> dict[int, float]:
    """Rates of the memory and of those caches that are far enough apart, by working set."""
    rates: dict[int, float] = {}
    for size, rate in sorted(roofline.read_gb_per_s.items(), reverse=True):
        if all(abs(y.at(rate) - y.at(other)) >= MIN_GAP for other in rates.values()):
            rates[size] = rate
    return rates


def _memory(rates: Mapping[int, float], x: Axis, y: Axis, top: float) -> Iterator[Ceiling]:
    """Diagonals up to the highest rate of arithmetic."""
    for size, rate in rates.items():
        begin = max(x.low, y.low / rate)
        end = min(x.high, top / rate)
        main = size == max(rates)
        yield Ceiling(
            x1=x.at(begin),
            y1=100 - y.at(begin * rate),
            x2=x.at(end),
            y2=100 - y.at(end * rate),
            text=f"{'memory' if main else format_bytes(size)} {significant(rate)} GB/s",
            diagonal=True,
            main=main,
        )


def _compute(
    rates: dict[str, float], x: Axis, y: Axis, fastest_gb_per_s: float
) -> Iterator[Ceiling]:
    above = -math.inf
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]):
        height = 100 - y.at(rate)
        below = height - above < MIN_TEXT_GAP
        above = height
        yield Ceiling(
            x1=max(0.0, x.at(rate / fastest_gb_per_s)),
            y1=height,
            x2=100.0,
            y2=height,
            text=f"{name} {significant(rate)} {'GFLOP/s' if name == 'f32' else 'GOP/s'}",
            diagonal=False,
            main=rate == max(rates.values()),
            below=below,
        )


def _point(tag: str, row: KernelTimes, x: Axis, y: Axis) -> Point:
    return Point(
        x=x.at(row.operations / row.bytes),
        y=100 - y.at(row.gop_per_s),
        radius=round(4 + 12 * math.sqrt(row.share), 1),
        phase=row.phase,
        family=family(row.operation),
        row=row,
        tag=tag,
        tag_dx=None,
        tag_dy=0.0,
        tag_narrow=False,
    )


def _place_tags(points: Sequence[Point]) -> Iterator[Point]:
    """Put the tags of the longest kernels where none covers another one."""
    taken: list[tuple[float, float]] = []
    narrow: list[tuple[float, float]] = []
    tags: dict[PhaseName, int] = {"decode": 0, "prefill": 0}
    for point in sorted(points, key=lambda point: -point.radius):
        offset = next(
            (o for o in _offsets(point) if _is_free(point, o, taken, WIDTH, HEIGHT)), None
        )
        if offset is None or tags[point.phase] == MAX_TAGS:
            yield point
            continue
        tags[point.phase] += 1
        taken.append(_spot(point, offset, WIDTH, HEIGHT))
        fits = point.row.share >= NARROW_LEAST_SHARE and _is_free(
            point, offset, narrow, NARROW_WIDTH, NARROW_HEIGHT
        )
        if fits:
            narrow.append(_spot(point, offset, NARROW_WIDTH, NARROW_HEIGHT))
        yield replace(
            point, tag_dx=round(offset[0], 1), tag_dy=round(offset[1], 1), tag_narrow=fits
        )


def _offsets(point: Point) -> list[tuple[float, float]]:
    """Centres of a tag in pixels from its point: right, left, above, below, and oblique."""
    side, above = point.radius + 12, point.radius + 8
    return [(side, 0), (-side, 0), (0, -above), (0, above), (side, above), (-side, -above)]


def _spot(
    point: Point, offset: tuple[float, float], width: float, height: float
) -> tuple[float, float]:
    return (point.x * width / 100 + offset[0], point.y * height / 100 + offset[1])


def _is_free(
    point: Point,
    offset: tuple[float, float],
    taken: Sequence[tuple[float, float]],
    width: float,
    height: float,
) -> bool:
    """Whether a tag there covers none of those that have been placed."""
    x, y = _spot(point, offset, width, height)
    return all(abs(x - a) > 22 or abs(y - b) > 13 for a, b in taken)
