"""How long a kernel that was measured on one machine should take on another.

A kernel's time goes with the limit that holds it: the read rate of its working set, the peak of its
arithmetic, or what it costs to launch a step. Only the part of the time that the limit explains is
sure to do so, and limits themselves come out a little different each time.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ossc.runtimes.profile.gate.result import JUDGED_SHARE
from ossc.runtimes.profile.profile import BoundName, Conditions, KernelTimes, Profile
from ossc.runtimes.profile.roofline import Roofline
from ossc.targets.errors import NotComparableError

MAX_FACTOR = 1.25
"""Limits that differ by more are not trusted to scale times: a kernel that reaches nearly all of
one bandwidth reached a fifth less of another one, 1.3 times as high or as low."""

ARITHMETIC_ERROR = 0.03
MEMORY_ERROR = 0.06
CACHE_ERROR = 0.15
LAUNCH_ERROR = 0.25
"""How far a limit may be off when it is measured again on the same quiet machine; caches depend on
where pages lie, and a launch on whether threads still spin."""

_NAMES: dict[BoundName, str] = {
    "memory": "memory bandwidth",
    "f32": "float32 peak",
    "int8": "int8 peak",
}


@dataclass(frozen=True)
class Scale:
    """What a baseline's time is multiplied by, and between which factors the right one lies."""

    low: float
    factor: float
    high: float

    @classmethod
    def of(cls, factor: float, explained: float, error: float) -> "Scale":
        """Scale a time that the limit explains in part; the rest scales as much or not at all.

        A limit that differs by no more than when it is measured twice is the same one.

        Args:
            factor: The limit's time here over that of the baseline.
            explained: Part of the time that the limit explains.
            error: How far the factor may be off.
        """
        if abs(math.log(factor)) <= math.log1p(error):
            return cls(1.0, 1.0, 1.0)
        explained = min(explained, 1.0)
        low, high = sorted((factor, explained * factor + 1 - explained))
        return cls(low / (1 + error), factor, high * (1 + error))

    @classmethod
    def of_launch(cls, factor: float, explained: float) -> "Scale":
        """Scale a time that launching explains in part; the rest does not go with launches."""
        if abs(math.log(factor)) <= math.log1p(LAUNCH_ERROR):
            return cls(1.0, 1.0, 1.0)
        explained = min(explained, 1.0)
        partly = explained * factor + 1 - explained
        low, high = sorted((1.0, partly))
        return cls(low / (1 + LAUNCH_ERROR), partly, high * (1 + LAUNCH_ERROR))


@dataclass(frozen=True, kw_only=True)
class Side:
    """A machine while one length or depth was measured."""

    limits: Roofline
    working_set_bytes: int
    """Of a pass: weights and keys are as far away as that."""

    @classmethod
    def of(cls, profile: Profile, conditions: Conditions | None) -> "Side":
        """Return the limits that were probed beside the times of a profile."""
        assert profile.roofline is not None, "it was not emulated"
        assert conditions is not None, "all threads took part"
        return cls(
            limits=conditions.limits(profile.roofline),
            working_set_bytes=conditions.working_set_bytes,
        )

    def limit_time(self, bound: BoundName) -> float:
        """Return the time of something that this limit alone holds, in some unit."""
        times: dict[BoundName, float] = {
            "memory": 1 / self.limits.read_rate(self.working_set_bytes),
            "f32": 1 / self.limits.f32_gflops,
            "int8": 1 / self.limits.int8_gops,
            "launch": self.limits.launch_ns,
        }
        return times[bound]


@dataclass(frozen=True)
class Machines:
    """Both sides of a comparison."""

    current: Side
    baseline: Side

    def factor(self, bound: BoundName) -> float:
        """Return the time that a limit sets here, over that of the baseline."""
        return self.current.limit_time(bound) / self.baseline.limit_time(bound)

    def kernel_scale(self, kernel: KernelTimes) -> Scale:
        """Return the scale of a kernel of the baseline."""
        assert kernel.bound is not None, "the baseline was not emulated"
        assert kernel.of_bound is not None, "the baseline was not emulated"
        factor = self.factor(kernel.bound)
        if kernel.bound == "launch":
            return Scale.of_launch(factor, kernel.of_bound)
        if kernel.bound != "memory":
            return Scale.of(factor, kernel.of_bound, ARITHMETIC_ERROR)
        side = self.baseline
        beyond_caches = side.working_set_bytes >= max(side.limits.read_gb_per_s)
        return Scale.of(factor, kernel.of_bound, MEMORY_ERROR if beyond_caches else CACHE_ERROR)

    def phase_scale(self, kernels: Sequence[KernelTimes]) -> Scale:
        """Return the scale of a phase: the mean of those of its kernels, by their shares."""
        scales = [self.kernel_scale(row) for row in kernels]
        shares = [row.share for row in kernels]
        return Scale(
            low=_mean((scale.low for scale in scales), shares),
            factor=_mean((scale.factor for scale in scales), shares),
            high=_mean((scale.high for scale in scales), shares),
        )

    def check(self, kernels: Iterable[KernelTimes]) -> None:
        """Refuse machines whose limits differ too much for the kernels that are judged.

        Raises:
            NotComparableError: They do.
        """
        for kernel in kernels:
            if kernel.share < JUDGED_SHARE or kernel.bound in (None, "launch"):
                continue
            assert kernel.bound is not None, "it was looked at"
            factor = self.factor(kernel.bound)
            if not 1 / MAX_FACTOR <= factor <= MAX_FACTOR:
                raise NotComparableError(
                    f"The two profiles are not comparable: by {_NAMES[kernel.bound]} this machine "
                    f"was {max(factor, 1 / factor):.1f} times as "
                    f"{'slow' if factor > 1 else 'fast'} as the baseline's, and times are scaled "
                    f"up to {MAX_FACTOR}; profile the baseline here, or give its bundle."
                )


def _mean(values: Iterable[float], weights: Sequence[float]) -> float:
    products = (value * weight for value, weight in zip(values, weights, strict=True))
    return sum(products) / sum(weights)
