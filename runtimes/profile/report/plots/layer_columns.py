"""The time of each layer of a phase as a column."""

from dataclasses import dataclass

from ossc.runtimes.profile.profile import PhaseName, Profile
from ossc.runtimes.profile.report.findings import LayerSummary
from ossc.runtimes.profile.report.plots.axis import Axis, Mark
from ossc.runtimes.profile.report.quantities import format_share, format_time, significant

ROOM = 1.08
"""Height of the axis over the highest column."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One layer."""

    layer: int
    x: float
    width: float
    height: float
    tip: str
    extreme: bool
    """Whether it is the fastest or the slowest."""


@dataclass(frozen=True, kw_only=True)
class LayerColumns:
    """All layers of a phase, in order."""

    phase: PhaseName
    summary: LayerSummary
    columns: tuple[Column, ...]
    marks: tuple[Mark, ...]
    """Of time, in ms."""
    median_at: float


def layer_columns(profile: Profile, phase: PhaseName) -> LayerColumns | None:
    """Lay out the layers of a phase; None for a model without layers."""
    summary = LayerSummary.of(profile, phase)
    if summary is None or summary.slowest.ms <= 0:
        return None
    axis = Axis(low=0, high=ROOM * summary.slowest.ms)
    rows = [row for row in profile.layers if row.phase == phase and row.layer >= 0]
    width = 100 / len(rows)
    extremes = {summary.fastest.layer, summary.slowest.layer}
    columns = tuple(
        Column(
            layer=row.layer,
            x=round(index * width, 3),
            width=round(width, 3),
            height=axis.at(row.ms),
            tip=f"layer {row.layer}: {format_time(row.ms)}, {format_share(row.share)} of {phase}, "
            f"{significant(row.bytes / row.ms / 1e6) if row.ms else 0} GB/s",
            extreme=row.layer in extremes,
        )
        for index, row in enumerate(rows)
    )
    return LayerColumns(
        phase=phase,
        summary=summary,
        columns=columns,
        marks=tuple(axis.marks(4)),
        median_at=axis.at(summary.median_ms),
    )
