"""Comparison of two profiles that were measured at different times, or on machines of one kind."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from ossc.runtimes.profile.gate.conditions import check_conditions
from ossc.runtimes.profile.gate.result import (
    CONFIDENCE,
    DEFAULT_THRESHOLD,
    JUDGED_SHARE,
    Change,
    Comparison,
    Unmatched,
    finite,
    in_order,
    judge,
)
from ossc.runtimes.profile.gate.scaling import Machines, Scale, Side
from ossc.runtimes.profile.gate.statistics import ratio_interval
from ossc.runtimes.profile.profile import KernelTimes, PhaseName, Profile
from ossc.runtimes.profile.report.findings import PHASES, Timing, phase_kernels, timings

PROCESS_ERROR = 0.03
"""How far the times of two processes of one build may differ for as long as they live: it depends
on where they have their memory, and a profile is of one process."""


def compare_profiles(
    current: Profile, baseline: Profile, threshold: float = DEFAULT_THRESHOLD
) -> Comparison:
    """Compare two profiles, the baseline's times being scaled by the limits of both machines.

    Args:
        current: What is judged.
        baseline: What it is compared with.
        threshold: Slowdown that is a regression, as a fraction.

    Raises:
        NotComparableError: They are of different models, targets or workloads, one was emulated, or
            the machines differ too much, or other work had the CPUs.
    """
    check_conditions(current, baseline)
    pairs = [pair for phase in PHASES for pair in _pairs(phase, current, baseline)]
    error = (1 - CONFIDENCE) / sum(pair.judged for pair in pairs)
    return Comparison(
        method="scaled",
        current=current.bundle.path,
        baseline=baseline.bundle.path,
        threshold=threshold,
        rounds=0,
        changes=in_order(pair.change(error, threshold) for pair in pairs),
        unmatched=tuple(rest for phase in PHASES for rest in _unmatched(phase, current, baseline)),
    )


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """One time of both sides."""

    phase: str
    kernel: str | None
    baseline_kernel: str | None
    current_samples: Sequence[float]
    baseline_samples: Sequence[float]
    block: int
    share: float
    scale: Scale

    @property
    def judged(self) -> bool:
        return self.share >= JUDGED_SHARE

    def change(self, error: float, threshold: float) -> Change:
        """Estimate the ratio; it is as uncertain as the samples and the scale together."""
        interval = ratio_interval(self.current_samples, self.baseline_samples, self.block, error)
        ratio = math.exp(interval.estimate) / self.scale.factor
        low = math.exp(interval.low) / self.scale.high / (1 + PROCESS_ERROR)
        high = math.exp(interval.high) / self.scale.low * (1 + PROCESS_ERROR)
        return Change(
            phase=self.phase,
            kernel=self.kernel,
            baseline_kernel=self.baseline_kernel,
            baseline_ms=median(self.baseline_samples),
            current_ms=median(self.current_samples),
            share=self.share,
            scale=self.scale.factor,
            ratio=ratio,
            low=finite(low),
            high=finite(high),
            judged=self.judged,
            verdict=judge(low, ratio, high, threshold),
        )


def _pairs(phase: PhaseName, current: Profile, baseline: Profile) -> Iterator[_Pair]:
    """List the phase at each depth or length, then the kernels that both sides have."""
    block = current.workload.new_tokens if phase == "decode" else 1
    rows = list(_rows(phase, current, baseline))
    kernels = phase_kernels(baseline, phase)
    for mine, other, machines in rows:
        machines.check(kernels)
        yield _Pair(
            phase=mine.title,
            kernel=None,
            baseline_kernel=None,
            current_samples=mine.latency.samples_ms,
            baseline_samples=other.latency.samples_ms,
            block=block,
            share=1.0,
            scale=machines.phase_scale(kernels),
        )
    first, _, machines = rows[0]  # kernels are those of the first depth or length
    for kernel, other_kernel in _matched(phase, current, baseline):
        yield _Pair(
            phase=first.title,
            kernel=kernel.kernel,
            baseline_kernel=other_kernel.kernel,
            current_samples=kernel.samples_ms,
            baseline_samples=other_kernel.samples_ms,
            block=block,
            share=max(_share(kernel, current), _share(other_kernel, baseline)),
            scale=machines.kernel_scale(other_kernel),
        )


def _rows(
    phase: PhaseName, current: Profile, baseline: Profile
) -> Iterator[tuple[Timing, Timing, Machines]]:
    """Pair what was measured with all threads; the workloads are the same."""
    ours, theirs = (
        [row for row in timings(profile, phase) if row.conditions is not None]
        for profile in (current, baseline)
    )
    for mine, other in zip(ours, theirs, strict=True):
        sides = (Side.of(current, mine.conditions), Side.of(baseline, other.conditions))
        yield mine, other, Machines(*sides)


def _share(kernel: KernelTimes, profile: Profile) -> float:
    """Return the share of the phase by medians, which single disturbed calls do not change."""
    rows = phase_kernels(profile, kernel.phase)
    return median(kernel.samples_ms) / sum(median(row.samples_ms) for row in rows)


def _matched(
    phase: PhaseName, current: Profile, baseline: Profile
) -> list[tuple[KernelTimes, KernelTimes]]:
    """Pair kernels of one symbol, then those that alone on each side do an operation."""
    ours, theirs = _by_symbol(phase, current), _by_symbol(phase, baseline)
    pairs = [(ours.pop(name), theirs.pop(name)) for name in [*ours] if name in theirs]
    for row in [*ours.values()]:
        mine, others = _same_operation(row, ours.values()), _same_operation(row, theirs.values())
        if len(mine) == len(others) == 1:
            pairs.append((row, others[0]))
    return pairs


def _by_symbol(phase: PhaseName, profile: Profile) -> dict[str, KernelTimes]:
    return {row.kernel: row for row in phase_kernels(profile, phase)}


def _same_operation(kernel: KernelTimes, rows: Iterable[KernelTimes]) -> list[KernelTimes]:
    return [row for row in rows if row.operation == kernel.operation and row.calls == kernel.calls]


def _unmatched(phase: PhaseName, current: Profile, baseline: Profile) -> Iterator[Unmatched]:
    pairs = _matched(phase, current, baseline)
    matched = {mine.kernel for mine, _ in pairs}, {other.kernel for _, other in pairs}
    for row in _by_symbol(phase, current).values():
        if row.kernel not in matched[0]:
            yield Unmatched(phase=phase, kernel=row.kernel, side="current", ms=row.ms)
    for row in _by_symbol(phase, baseline).values():
        if row.kernel not in matched[1]:
            yield Unmatched(phase=phase, kernel=row.kernel, side="baseline", ms=row.ms)
