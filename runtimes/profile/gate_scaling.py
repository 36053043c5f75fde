"""How long a kernel that was measured on one machine should take on another.

A kernel's time goes with the limit that holds it: the read rate of its working set, the peak of its
arithmetic, or what it costs to launch a step. Only the part of the time that the limit explains is
sure to do so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ossc.runtimes.profile.gate_result import JUDGED_SHARE
from ossc.runtimes.profile.profile import KernelTimes, PhaseName, Profile
from ossc.runtimes.profile.roofline import Roofline
from ossc.targets.errors import NotComparableError

MAX_FACTOR = 1.5
"""Limits that differ by more are not trusted to scale times: kernels reach from a third to nearly
all of their limit, so that beyond this a scaled time is uncertain by a third and more."""

PROBE_ERROR = 0.03
"""How far a limit may be off when it is measured again on the same machine."""

_NAMES = {
    "memory": "memory bandwidth",
    "f32": "float32 peak",
    "int8": "int8 peak",
    "launch": "launch time",
}


@dataclass(frozen=True)
class Scale:
    """What a baseline's time is multiplied by, and between which factors the right one lies."""

    low: float
    factor: float
    high: float

    @classmethod
    def of(cls, factor: float, explained: float) -> "Scale":
        """Scale a time that the limit explains in part; the rest scales as much or not at all."""
        explained = min(max(explained, 0.0), 1.0)
        partly = explained * factor + 1 - explained
        low, high = sorted((factor, partly))
        return cls(low / (1 + PROBE_ERROR), factor, high * (1 + PROBE_ERROR))


def kernel_scale(kernel: KernelTimes, current: Profile, baseline: Profile) -> Scale:
    """Return the scale of a kernel of the baseline."""
    ours, theirs = _rooflines(current, baseline)
    assert kernel.bound is not None, "the baseline was not emulated"
    assert kernel.of_bound is not None, "the baseline was not emulated"
    size = sum(row.bytes for row in baseline.kernels if row.phase == kernel.phase)
    factor = _limit_time(ours, kernel.bound, size) / _limit_time(theirs, kernel.bound, size)
    return Scale.of(factor, kernel.of_bound)


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
        factor = kernel_scale(kernel, current, baseline).factor
        if kernel.share >= JUDGED_SHARE and not 1 / MAX_FACTOR <= factor <= MAX_FACTOR:
            assert kernel.bound is not None, "it has a scale"
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


def _limit_time(roofline: Roofline, bound: str, working_set_bytes: float) -> float:
    """Return the time of something that this limit alone holds, in some unit."""
    times = {
        "memory": 1 / roofline.read_rate(working_set_bytes),
        "f32": 1 / roofline.f32_gflops,
        "int8": 1 / roofline.int8_gops,
        "launch": roofline.launch_ns,
    }
    return times[bound]


def _mean(values: Iterable[float], weights: Sequence[float]) -> float:
    products = (value * weight for value, weight in zip(values, weights, strict=True))
    return sum(products) / sum(weights)
