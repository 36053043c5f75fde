"""How the times of one length or depth are distributed, and in which order they came."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ossc.runtimes.profile.report.findings import Timing
from ossc.runtimes.profile.report.plots.axis import Axis, Mark
from ossc.runtimes.profile.report.quantities import format_time

BINS = 32

FEWEST_SAMPLES = 8
"""Below it the table has said everything."""

REACH = 4.0
"""How far the axis goes beyond p90, in distances from the fastest sample to p90."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """A bar of the histogram."""

    x: float
    width: float
    height: float
    tip: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A percentile, or the prediction."""

    at: float
    text: str
    kind: str
    """``p50``, ``p90``, ``p99`` or ``predicted``."""


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """A histogram, and below it the samples one after the other."""

    timing: Timing
    axis: Axis
    bins: tuple[Bin, ...]
    lines: tuple[Line, ...]
    dots: str
    """Path of dots on 100 by 100: to the right as measured, to the top as they took longer."""
    beyond: int
    """Samples that took longer than the axis goes; their dots are at its end."""

    @property
    def marks(self) -> list[Mark]:
        """Marks of the axis of times, in ms."""
        return self.axis.marks(5)


def distribution(timing: Timing) -> Distribution | None:
    """Lay out the samples of a timing; None where they are too few to show one."""
    samples = np.asarray(timing.latency.samples_ms)
    if len(samples) < FEWEST_SAMPLES or samples.min() == samples.max():
        return None
    low, p90 = float(samples.min()), timing.latency.p90_ms
    high = (
        min(float(samples.max()), p90 + REACH * (p90 - low)) if p90 > low else float(samples.max())
    )
    predicted = timing.predicted_ms
    if predicted is not None and abs(predicted - timing.latency.p50_ms) < 2 * (high - low):
        low, high = min(low, predicted), max(high, predicted)
    room = (high - low) * 0.04
    axis = Axis(low=low - room, high=high + room)
    return Distribution(
        timing=timing,
        axis=axis,
        bins=tuple(_bins(samples, axis)),
        lines=tuple(_lines(timing, axis)),
        dots=_dots(samples, axis),
        beyond=int((samples > axis.high).sum()),
    )


def _bins(samples: np.ndarray, axis: Axis) -> Iterator[Bin]:
    counts, edges = np.histogram(samples, BINS, (axis.low, axis.high))
    for count, begin, end in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        if count:
            begin_ms, end_ms = float(begin), float(end)
            yield Bin(
                x=axis.at(begin_ms),
                width=round(axis.at(end_ms) - axis.at(begin_ms), 3),
                height=round(100 * count / int(counts.max()), 2),
                tip=f"{count} of {len(samples)} between {format_time(begin_ms, 4)} and "
                f"{format_time(end_ms, 4)}",
            )


def _lines(timing: Timing, axis: Axis) -> Iterator[Line]:
    latency = timing.latency
    times = {"p50": latency.p50_ms, "p90": latency.p90_ms, "p99": latency.p99_ms}
    if timing.predicted_ms is not None and axis.low <= timing.predicted_ms <= axis.high:
        times["predicted"] = timing.predicted_ms
    for kind, ms in times.items():
        beyond = " →" if ms > axis.high else ""
        at = min(100.0, axis.at(ms))
        yield Line(at=at, text=f"{kind} {format_time(ms, 4)}{beyond}", kind=kind)


def _dots(samples: np.ndarray, axis: Axis) -> str:
    across = Axis(low=0, high=len(samples) - 1)
    return "".join(
        f"M{across.at(i):.2f} {100 - min(100, axis.at(ms)):.1f}h0"
        for i, ms in enumerate(samples.tolist())
    )
