"""What the page of a profile shows: its plots and the rows of its tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ossc.runtimes.profile.profile import ExpertUse, KernelTimes, PhaseName, Profile
from ossc.runtimes.profile.report.findings import (
    PHASES,
    ExpertSummary,
    Timing,
    bound_shares,
    device_title,
    int8_title,
    of_bounds,
    phase_kernels,
    repeats_notes,
    thread_scaling,
    timings,
    worker_title,
)
from ossc.runtimes.profile.report.plots.distribution import Distribution, distribution
from ossc.runtimes.profile.report.plots.heat_map import HeatMap, heat_map
from ossc.runtimes.profile.report.plots.layer_columns import LayerColumns, layer_columns
from ossc.runtimes.profile.report.plots.roofline_plot import RooflinePlot, roofline_plot
from ossc.runtimes.profile.report.plots.token_timeline import TokenTimeline, token_timeline


@dataclass(frozen=True, kw_only=True)
class PhaseKernels:
    """The kernels of a phase, each with the tag by which the roofline plot calls it."""

    phase: PhaseName
    rows: tuple[tuple[str, KernelTimes], ...]
    of_bounds: float | None
    """Time of all kernels if each met its limit, over the time taken."""
    bound_shares: dict[str, float]
    """Share of the time that each limit holds back."""


@dataclass(frozen=True, kw_only=True)
class ScalingRow:
    """One number of threads."""

    timing: Timing
    at: float
    """Its rate in percent of the longest bar."""
    ideal_at: float
    """The rate if threads did not hinder each other."""
    efficiency: float


@dataclass(frozen=True, kw_only=True)
class ExpertRow:
    """The experts of one layer, for the table beside the map."""

    use: ExpertUse
    hottest: int
    hottest_share: float
    coldest: int
    coldest_share: float
    unused: int


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """All of it."""

    profile: Profile
    device_title: str
    int8_title: str
    workers: tuple[str, ...]
    """What the lanes of the timeline are called."""
    timings: tuple[Timing, ...]
    repeats_notes: tuple[str, ...]
    """Which repeats were left out, and why."""
    distributions: tuple[Distribution, ...]
    scaling: tuple[tuple[ScalingRow, ...], ...]
    """Of each phase that was measured with several numbers of threads."""
    kernels: tuple[PhaseKernels, ...]
    roofline: RooflinePlot | None
    timeline: TokenTimeline | None
    layers: tuple[LayerColumns, ...]
    experts: ExpertSummary | None
    expert_rows: tuple[ExpertRow, ...]
    heat_map: HeatMap | None
    expert_data: dict[str, Any]
    """For the script: ``layers``, ``counts`` and ``ms`` (rows of experts), ``bytes`` (each)."""


def page_content(profile: Profile) -> PageContent:
    """Compute what the page shows."""
    rows = [row for phase in PHASES for row in timings(profile, phase)]
    kernels = [_phase_kernels(profile, phase) for phase in PHASES]
    tagged = [row for entry in kernels for row in entry.rows]
    operations = {row.kernel: row.operation for row in profile.kernels}
    scaling = [_scaling(thread_scaling(profile, phase)) for phase in PHASES]
    return PageContent(
        profile=profile,
        device_title=device_title(profile.device),
        int8_title=int8_title(profile),
        workers=_workers(profile),
        timings=tuple(rows),
        repeats_notes=tuple(repeats_notes(profile)),
        distributions=tuple(shown for shown in map(distribution, rows) if shown),
        scaling=tuple(shown for shown in scaling if shown),
        kernels=tuple(entry for entry in kernels if entry.rows),
        roofline=(
            roofline_plot(profile.roofline, tagged, int8_title(profile))
            if profile.roofline
            else None
        ),
        timeline=token_timeline(profile.timeline, operations),
        layers=tuple(
            shown for phase in PHASES if (shown := layer_columns(profile, phase)) is not None
        ),
        experts=ExpertSummary.of(profile.experts),
        expert_rows=tuple(_expert_row(use) for use in profile.experts if sum(use.counts)),
        heat_map=heat_map(profile.experts) if profile.experts else None,
        expert_data={
            "layers": [use.layer for use in profile.experts],
            "counts": [use.counts for use in profile.experts],
            "ms": [[round(ms, 4) for ms in use.ms] for use in profile.experts],
            "bytes": [use.expert_bytes for use in profile.experts],
        },
    )


def _workers(profile: Profile) -> tuple[str, ...]:
    lanes = max((len(span.threads) for span in profile.timeline), default=0)
    return tuple(worker_title(profile.device, lane) for lane in range(lanes))


def _phase_kernels(profile: Profile, phase: PhaseName) -> PhaseKernels:
    rows = phase_kernels(profile, phase)
    letter = phase[0].upper()
    return PhaseKernels(
        phase=phase,
        rows=tuple((f"{letter}{number}", row) for number, row in enumerate(rows, 1)),
        of_bounds=of_bounds(rows),
        bound_shares=bound_shares(rows),
    )


def _scaling(rows: Sequence[Timing]) -> tuple[ScalingRow, ...]:
    """Set each number of threads against what the fewest promise."""
    if not rows:
        return ()
    each = rows[0].tokens_per_s / rows[0].threads
    longest = max(max(row.tokens_per_s, each * row.threads) for row in rows) or 1.0
    return tuple(
        ScalingRow(
            timing=row,
            at=round(100 * row.tokens_per_s / longest, 2),
            ideal_at=round(100 * each * row.threads / longest, 2),
            efficiency=row.tokens_per_s / (each * row.threads) if each else 0.0,
        )
        for row in rows
    )


def _expert_row(use: ExpertUse) -> ExpertRow:
    total = sum(use.counts)
    chosen = [expert for expert, count in enumerate(use.counts) if count]
    hottest = max(chosen, key=use.counts.__getitem__)
    coldest = min(chosen, key=use.counts.__getitem__)
    return ExpertRow(
        use=use,
        hottest=hottest,
        hottest_share=use.counts[hottest] / total,
        coldest=coldest,
        coldest_share=use.counts[coldest] / total,
        unused=len(use.counts) - len(chosen),
    )
