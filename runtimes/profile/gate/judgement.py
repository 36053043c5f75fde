"""When enough was measured, and what follows from it."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from ossc.runtimes.profile.gate.result import (
    CONFIDENCE,
    JUDGED_SHARE,
    Change,
    Unmatched,
    finite,
    judge,
)
from ossc.runtimes.profile.gate.rounds import PhaseRecord, Ratios
from ossc.runtimes.profile.gate.statistics import signed_rank_interval
from ossc.runtimes.profile.gate.steps import Kernels

LOOKS = (12, 16, 24, 36, 54, 80)
"""Rounds after which the intervals are looked at: it ends as soon as they say enough."""


class Judgement:
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
        """Whether more rounds of a phase could tell whether there is a regression."""
        return any(self._may_clear_up(change, record.rounds) for change in self.changes(record))

    def regressed(self) -> bool:
        """Whether something is a regression already."""
        changes = (change for record in self._records for change in self.changes(record))
        return any(change.judged and change.verdict == "regression" for change in changes)

    def _may_clear_up(self, change: Change, rounds: int) -> bool:
        """Whether an interval may come to lie on one side of the threshold.

        It shrinks with the root of the rounds. It is left alone when, after the last look, it would
        still hold both no change at all and twice the threshold, unless the estimate itself is
        beyond the threshold. The first look says nothing of that: its ends are single rounds.
        """
        if not change.judged or change.verdict != "too noisy":
            return False
        suspicious = change.ratio > 1 + self._threshold
        if suspicious or not change.low or change.high is None or rounds == LOOKS[0]:
            return True
        shrinks = math.sqrt(rounds / LOOKS[-1])
        low = math.log(change.ratio) + shrinks * math.log(change.low / change.ratio)
        high = math.log(change.ratio) + shrinks * math.log(change.high / change.ratio)
        return low > 0 or high < 2 * math.log1p(self._threshold)

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


def unmatched(record: PhaseRecord) -> Iterator[Unmatched]:
    """List the kernels that only one side has."""
    phase = str(record.phase)
    for kernel, ms in record.only_current_ms.items():
        yield Unmatched(phase=phase, kernel=kernel, side="current", ms=median(ms))
    for kernel, ms in record.only_baseline_ms.items():
        yield Unmatched(phase=phase, kernel=kernel, side="baseline", ms=median(ms))
