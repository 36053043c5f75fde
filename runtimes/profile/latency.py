"""What many measurements of one time say: its percentiles, and how far they can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

RESAMPLES = 1000
"""Draws of the bootstrap; the ends of a 95 % interval then rest on 25 of them."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Repeated measurements of one time, in milliseconds."""

    samples_ms: tuple[float, ...]
    """In the order in which they were measured."""
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    spread: float
    """Distance between the quartiles, over the median."""
    noise: float
    """Half the 95 % bootstrap interval of the median, over the median: what a comparison with
    another run has to exceed at the least. 0 for a single sample, of which nothing is known."""

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> Self:
        """Summarize at least one sample."""
        values = np.asarray(samples_ms, np.float64)
        quarter, p50, three_quarters, p90, p99 = np.percentile(values, [25, 50, 75, 90, 99])
        low, high = median_interval(values)
        return cls(
            samples_ms=tuple(values.tolist()),
            mean_ms=float(values.mean()),
            p50_ms=float(p50),
            p90_ms=float(p90),
            p99_ms=float(p99),
            spread=_over(three_quarters - quarter, p50),
            noise=_over((high - low) / 2, p50),
        )


def median_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the median; the draws are the same each time."""
    draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(np.median(draws, axis=1), [tail, 100 - tail])
    return float(low), float(high)


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
