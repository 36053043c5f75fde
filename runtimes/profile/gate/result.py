"""What a comparison with a baseline found: the one definition of its JSON."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

SCHEMA_VERSION = 1
"""Version of the JSON."""

DEFAULT_THRESHOLD = 0.05
"""Slowdown that is a regression. Copies of one build differ in a kernel by some percent, and keep
that difference from run to run: where a file's pages lie decides it."""

JUDGED_SHARE = 0.08
"""Kernels with less of their phase are reported, but are no regression by themselves: a call of few
microseconds differs by up to a third between copies of one build. See docs/regression-gate.md."""

CONFIDENCE = 0.95
"""Probability that all intervals of a comparison hold at once."""

Verdict = Literal["regression", "improvement", "no change", "too noisy"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One time of both sides: that of a phase, or of a kernel in a phase."""

    phase: str
    """Such as ``decode at 128``."""
    kernel: str | None
    """Symbol of the current side; None is the phase as a whole."""
    baseline_kernel: str | None
    """Symbol of the baseline, which may be another build's."""
    baseline_ms: float
    """As measured."""
    current_ms: float
    share: float
    """Of the phase, on the side where it is larger; 1 for the phase itself."""
    scale: float
    """What the baseline's time was multiplied by, because the machines differ."""
    ratio: float
    """Current over scaled baseline."""
    low: float | None
    """Lower end of the ratio's interval; None when nothing is known of it."""
    high: float | None
    judged: bool
    """Whether it is large enough to decide."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Unmatched:
    """A kernel that does what no kernel of the other side does."""

    phase: str
    kernel: str
    side: Literal["current", "baseline"]
    ms: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two bundles, or two profiles."""

    schema_version: int = SCHEMA_VERSION
    method: Literal["interleaved", "scaled"]
    """Bundles whose runs alternated, or profiles measured at different times."""
    current: str
    """Path of the bundle."""
    baseline: str
    threshold: float
    confidence: float = CONFIDENCE
    rounds: int
    """Pairs of processes; 0 for profiles."""
    changes: tuple[Change, ...]
    """By phase: the phase itself, then its kernels, the longest first."""
    unmatched: tuple[Unmatched, ...]

    @property
    def regressed(self) -> bool:
        """Whether something that is judged became slower beyond the threshold."""
        return any(change.judged and change.verdict == "regression" for change in self.changes)

    @property
    def verdict(self) -> Verdict:
        """The gravest of all that is judged; an improvement only where nothing else is worse."""
        found = {change.verdict for change in self.changes if change.judged}
        order: tuple[Verdict, ...] = ("regression", "too noisy", "improvement")
        return next((verdict for verdict in order if verdict in found), "no change")

    def to_json(self) -> str:
        """The text that ``--format json`` prints."""
        fields: dict[str, Any] = {**asdict(self), "verdict": self.verdict}
        return json.dumps(fields, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        """The table that a terminal shows."""
        from ossc.runtimes.profile.gate.text import to_text

        return to_text(self)


def judge(low: float, ratio: float, high: float, threshold: float) -> Verdict:
    """Name what an interval of a ratio says about a threshold.

    1. All of it is beyond the threshold: a regression.
    2. A part of it is: too noisy to tell.
    3. All of it is below 1, and the ratio as far as the threshold: an improvement.
    4. Anything else is no change.
    """
    if low > 1 + threshold:
        return "regression"
    if high > 1 + threshold:
        return "too noisy"
    if high < 1 and ratio <= 1 / (1 + threshold):
        return "improvement"
    return "no change"


def finite(value: float) -> float | None:
    """Return what JSON can hold of an end of an interval."""
    return value if math.isfinite(value) else None


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Sort kernels by their time, behind their phase."""
    changes = list(changes)
    phases = list(dict.fromkeys(change.phase for change in changes))
    return tuple(
        sorted(
            changes,
            key=lambda change: (
                phases.index(change.phase),
                change.kernel is not None,
                -change.current_ms,
            ),
        )
    )
