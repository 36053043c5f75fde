"""How long a kernel that was measured on one machine should take on another.

A kernel's time goes with the limit that holds it: the read rate of its working set, the peak of its
arithmetic, or what it costs to launch a step. Only the part of the time that the limit explains is
sure to do so, and limits themselves come out a little different each time.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ossc.runtimes.profile.gate.result import JUDGED_SHARE
from ossc.runtimes.profile.profile import BoundName, KernelTimes, PhaseName, Profile
from ossc.runtimes.profile.roofline import Roofline
from ossc.targets.errors import NotComparableError

MAX_FACTOR = 1.5
"""Limits that differ by more are not trusted to scale times: kernels reach from a third to nearly
all of their limit, so that beyond this a scaled time is uncertain by a third and more."""

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


def kernel_scale(kernel: KernelTimes, current: Profile, baseline: Profile) -> Scale:
    """Return the scale of a kernel of the baseline."""
    assert kernel.of_bound is not None, "the baseline was not emulated"
    factor = _limit_factor(kernel, current, baseline)
    if kernel.bound == "launch":
        return Scale.of_launch(factor, kernel.of_bound)
    if kernel.bound != "memory":
        return Scale.of(factor, kernel.of_bound, ARITHMETIC_ERROR)
    _, theirs = _rooflines(current, baseline)
    beyond_caches = _working_set_bytes(kernel, baseline) >= max(theirs.read_gb_per_s)
    return Scale.of(factor, kernel.of_bound, MEMORY_ERROR if beyond_caches else CACHE_ERROR)


def _limit_factor(kernel: KernelTimes, current: Profile, baseline: Profile) -> float:
    """Return the time that the kernel's limit sets here, over that of the baseline."""
    ours, theirs = _rooflines(current, baseline)
    assert kernel.bound is not None, "the baseline was not emulated"
    size = _working_set_bytes(kernel, baseline)
    return _limit_time(ours, kernel.bound, size) / _limit_time(theirs, kernel.bound, size)


def _working_set_bytes(kernel: KernelTimes, profile: Profile) -> float:
    """Return what a whole token or prompt moves: a kernel's weights are as far away as that."""
    return sum(row.bytes for row in profile.kernels if row.phase == kernel.phase)


def phase_scale(phase: PhaseName, current: Profile, baseline: Profile) -> Scale:
    """Return the scale of a phase: the mean of its kernels' by their shares."""
    rows = [row for row in baseline.kernels if row.phase == phase]
    scales = [kernel_scale(row, current, baseline) for row in rows]
    shares = [row.share for row in rows]
    return Scale(
        low=_mean((scale.low for scale in scales), shares),
        factor=_mean((scale.factor for scale in scales), shares),
        high=_mean((scale.high for scale in scales), shares),
    )


def check_scales(current: Profile, baseline: Profile) -> None:
    """Refuse machines whose limits differ too much for the kernels that are judged.

    Raises:
        NotComparableError: They do.
    """
    for kernel in baseline.kernels:
        factor = _limit_factor(kernel, current, baseline)
        if kernel.share < JUDGED_SHARE or kernel.bound == "launch":
            continue
        if not 1 / MAX_FACTOR <= factor <= MAX_FACTOR:
            assert kernel.bound is not None, "it has a factor"
            raise NotComparableError(
                f"The two profiles are not comparable: by {_NAMES[kernel.bound]} this machine is "
                f"{max(factor, 1 / factor):.1f} times as {'slow' if factor > 1 else 'fast'} as the "
                f"baseline's, and times are scaled up to {MAX_FACTOR}; profile the baseline here, "
                "or give its bundle."
            )


def _rooflines(current: Profile, baseline: Profile) -> tuple[Roofline, Roofline]:
    assert current.roofline is not None, "it was not emulated"
    assert baseline.roofline is not None, "it was not emulated"
    return current.roofline, baseline.roofline


def _limit_time(roofline: Roofline, bound: BoundName, working_set_bytes: float) -> float:
    """Return the time of something that this limit alone holds, in some unit."""
    times: dict[BoundName, float] = {
        "memory": 1 / roofline.read_rate(working_set_bytes),
        "f32": 1 / roofline.f32_gflops,
        "int8": 1 / roofline.int8_gops,
        "launch": roofline.launch_ns,
    }
    return times[bound]


def _mean(values: Iterable[float], weights: Sequence[float]) -> float:
    products = (value * weight for value, weight in zip(values, weights, strict=True))
    return sum(products) / sum(weights)
