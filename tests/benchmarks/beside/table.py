"""The table of a comparison, and which mode of a side counts as its best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.beside.machine import Limits, RowLimit
from benchmarks.beside.noise import (
    Band,
    Comparison,
    Figure,
    Side,
    bands,
    compare,
    counted,
    joined,
    of_band,
)
from benchmarks.beside.rows import Row

Modes = Mapping[str, Side]
"""One row's samples of one side, by mode."""

HEADER = "| | ossc | of limit | llama.cpp | of limit | ratio | |\n|---|---|---|---|---|---|---|"

GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Result:
    """One side's best mode in one row."""

    mode: str
    figure: Figure
    limit_percent: float | None
    """How much of the machine's limit it reaches; None where no limit is known."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row with both sides."""

    row: Row
    band: Band | None
    """The read bandwidths in which both were measured; None where they do not matter."""

    ours: Result
    theirs: Result
    comparison: Comparison


def best_mode(row: Row, modes: Modes) -> str:
    """Return the mode whose median is the best; of memory, the first: weights of mapped pages."""
    if row.kind == "memory":
        return next(iter(modes))
    medians = {mode: _figure(side).median for mode, side in modes.items()}
    return (max if row.more_is_better else min)(medians, key=lambda mode: medians[mode])


def make_lines(row: Row, ours: Modes, theirs: Modes, limit: RowLimit) -> list[Line]:
    """Compare both sides' best modes, in each band of bandwidths that both of them met.

    Args:
        row: What was measured.
        ours: Our samples.
        theirs: The peer's.
        limit: Of the row.

    Returns:
        A line for each band; one line where bandwidth does not matter, or both met no band.
    """
    if row.kind == "start":  # modes differ by more than bandwidth does, so one is the best in all
        ours, theirs = (
            {best_mode(row, side): side[best_mode(row, side)]} for side in (ours, theirs)
        )
    lines = [
        _make_line(row, *sides, limit, band)
        for band in bands([*ours.values(), *theirs.values()])
        if all(sides := (_in(ours, band), _in(theirs, band)))
    ]
    return lines or [_make_line(row, ours, theirs, limit, None)]


def _in(modes: Modes, band: Band) -> Modes:
    """Return the modes that have samples in a band, with these."""
    sides = {mode: of_band(side, band) for mode, side in modes.items()}
    return {mode: side for mode, side in sides.items() if any(side)}


def _make_line(row: Row, ours: Modes, theirs: Modes, limit: RowLimit, band: Band | None) -> Line:
    modes = best_mode(row, ours), best_mode(row, theirs)
    sides = ours[modes[0]], theirs[modes[1]]
    shown: Sequence[Side] = list(zip(*counted(*sides), strict=True)) or sides
    results = [
        Result(mode=mode, figure=_figure(side), limit_percent=limit.percent(mode, joined(side)))
        for mode, side in zip(modes, shown, strict=True)
    ]
    return Line(
        row=row,
        band=band,
        ours=results[0],
        theirs=results[1],
        comparison=compare(*sides, more_is_better=row.more_is_better),
    )


def _figure(side: Side) -> Figure:
    return Figure.of([sample.value for sample in joined(side)])


def format_table(lines: Sequence[Line]) -> str:
    """Return Markdown; a line without a verdict says why."""
    return "\n".join([HEADER, *map(_format_line, lines)])


def format_limits(limits: Sequence[Limits]) -> str:
    """Return a line for each number of threads."""
    return "\n".join(
        f"Limits of {at.threads} threads: read {at.read_gb_per_s:.1f} GB/s, from huge pages "
        f"{at.read_huge_gb_per_s:.1f}; float32 {at.f32_gflops:.0f} GFLOP/s, int8 "
        f"{at.int8_gops:.0f} GOP/s."
        for at in limits
    )


def _format_line(line: Line) -> str:
    at = "" if line.band is None else f", reading {line.band} GB/s"
    cells = [f"{line.row.title}{at}"]
    for result in (line.ours, line.theirs):
        percent = "" if result.limit_percent is None else f"{result.limit_percent:.0f} %"
        cells += [f"{_format_figure(line.row, result.figure)}, {result.mode}", percent]
    ratio = line.comparison.ratio
    cells.append(f"{ratio.median:.2f}× ({ratio.least:.2f}–{ratio.most:.2f})")
    reasons = line.comparison.reasons
    cells.append(f"no verdict: {'; '.join(reasons)}" if reasons else "")
    return f"| {' | '.join(cells)} |"


def _format_figure(row: Row, figure: Figure) -> str:
    if row.kind == "memory":
        return f"{figure.median / GB:.2f} GB"
    unit = "tok/s" if row.more_is_better else "s"
    return f"{figure.median:.2f} {unit} ±{figure.spread / 2:.0%}"
