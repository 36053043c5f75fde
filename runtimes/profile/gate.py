"""The regression gate: is a bundle slower than another, beyond what noise can explain?

``docs/regression-gate.md`` says what is decided how, and how often that is wrong.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.gate_profiles import compare_profiles
from ossc.runtimes.profile.gate_result import (
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
from ossc.runtimes.profile.gate_rounds import Pair, PhaseRecord, Ratios, phases
from ossc.runtimes.profile.gate_statistics import signed_rank_interval
from ossc.runtimes.profile.gate_steps import Kernels
from ossc.runtimes.profile.places import LOCAL, Place
from ossc.runtimes.profile.workload import Workload, workload_tokens
from ossc.targets.errors import NotComparableError

__all__ = ["DEFAULT_THRESHOLD", "Comparison", "compare_bundles", "compare_profiles"]

LOOKS = (12, 16, 24, 32, 48)
"""Rounds after which the intervals are looked at: it ends as soon as they say enough."""


def compare_bundles(
    current: Path,
    baseline: Path,
    workload: Workload,
    threshold: float = DEFAULT_THRESHOLD,
    place: Place = LOCAL,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run two bundles in turn until it is clear whether the first is slower.

    Args:
        current: The bundle that is judged.
        baseline: The one that it is compared with.
        workload: What both run.
        threshold: Slowdown that is a regression, as a fraction.
        place: Where both run.
        on_progress: Told what comes next.

    Raises:
        BundleError: A bundle is damaged, incomplete or of another version.
        NotComparableError: They are of different models, or the place is an emulator.
        SessionError: The place cannot run a bundle, or a run failed.
        UsageError: The workload does not fit into a bundle's context.
    """
    pair = _pair(Bundle.open(current), Bundle.open(baseline), workload, place)
    records = [PhaseRecord(phase) for phase in phases(pair.workload)]
    active, gate, done = records, _Judges(threshold, records), 0
    for look in LOOKS:
        for number in range(done, look):
            on_progress(f"round {number + 1} of {look} to {LOOKS[-1]}")
            pair.run_round(number, active)
        done = look
        active = [record for record in active if gate.is_open(record)]
        if gate.regressed() or not active:
            break
    return Comparison(
        method="interleaved",
        current=str(current),
        baseline=str(baseline),
        threshold=threshold,
        rounds=done,
        changes=in_order(change for record in records for change in gate.changes(record)),
        unmatched=tuple(rest for record in records for rest in _unmatched(record)),
    )


def _pair(current: Bundle, baseline: Bundle, workload: Workload, place: Place) -> Pair:
    if place.emulated:
        raise NotComparableError(
            f"Times of {place.name} are the emulator's and not comparable; compare on a device."
        )
    ours, theirs = current.manifest.model, baseline.manifest.model
    different = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    if different:
        raise NotComparableError(
            f"{current.path} and {baseline.path} are not comparable: their models differ in "
            f"{', '.join(different[:3])}; give two bundles of one model."
        )
    fitted = workload.fit(min(current.manifest.context, baseline.manifest.context))
    return Pair(
        current=current,
        baseline=baseline,
        workload=fitted,
        tokens=workload_tokens(fitted, current.plan.vocab_size),
        place=place,
    )


class _Judges:
    """Decides with intervals that all hold at once, over all kernels and all looks."""

    def __init__(self, threshold: float, records: Sequence[PhaseRecord]) -> None:
        self._threshold = threshold
        self._records = records
        self._judged: dict[PhaseRecord, set[Kernels]] = {}

    def changes(self, record: PhaseRecord) -> Iterator[Change]:
        """List what became of a phase and its kernels."""
        error = (1 - CONFIDENCE) / (len(LOOKS) * self._count_judged())
        yield self._change(record, None, record.total, error)
        for kernels, ratios in record.kernels.items():
            yield self._change(record, kernels, ratios, error)

    def is_open(self, record: PhaseRecord) -> bool:
        """Whether more rounds could tell more of a phase."""
        return any(
            change.judged and change.verdict == "too noisy" for change in self.changes(record)
        )

    def regressed(self) -> bool:
        """Whether something is a regression already."""
        changes = (change for record in self._records for change in self.changes(record))
        return any(change.judged and change.verdict == "regression" for change in changes)

    def _count_judged(self) -> int:
        """Count what is judged; which kernels are large enough is decided at the first look."""
        if not self._judged:
            self._judged = {
                record: {
                    kernels
                    for kernels, ratios in record.kernels.items()
                    if _share(record, ratios) >= JUDGED_SHARE
                }
                for record in self._records
            }
        return sum(1 + len(kernels) for kernels in self._judged.values())

    def _change(
        self, record: PhaseRecord, kernels: Kernels | None, ratios: Ratios, error: float
    ) -> Change:
        interval = signed_rank_interval(ratios.logs, error)
        low, ratio, high = (
            math.exp(end) for end in (interval.low, interval.estimate, interval.high)
        )
        return Change(
            phase=str(record.phase),
            kernel=None if kernels is None else kernels.current,
            baseline_kernel=None if kernels is None else kernels.baseline,
            baseline_ms=median(ratios.baseline_ms),
            current_ms=median(ratios.current_ms),
            share=_share(record, ratios),
            scale=1.0,
            ratio=ratio,
            low=finite(low),
            high=finite(high),
            judged=kernels is None or kernels in self._judged[record],
            verdict=judge(low, ratio, high, self._threshold),
        )


def _share(record: PhaseRecord, ratios: Ratios) -> float:
    return max(
        median(ratios.current_ms) / median(record.total.current_ms),
        median(ratios.baseline_ms) / median(record.total.baseline_ms),
    )


def _unmatched(record: PhaseRecord) -> Iterator[Unmatched]:
    phase = str(record.phase)
    for kernel, ms in record.only_current_ms.items():
        yield Unmatched(phase=phase, kernel=kernel, side="current", ms=median(ms))
    for kernel, ms in record.only_baseline_ms.items():
        yield Unmatched(phase=phase, kernel=kernel, side="baseline", ms=median(ms))
