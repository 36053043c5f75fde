"""Which steps of two builds do the same work, and by which kernels.

A step is recognized by what a profile calls it (its label), not by its kernel: another instruction
set, scheme or tile size gives the kernel another symbol, but the label is the model's own.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.plan import Plan
from ossc.runtimes.profile.device.answers import CallTimes


@dataclass(frozen=True)
class Kernels:
    """The kernels that do one thing on both sides."""

    current: str
    baseline: str


@dataclass(frozen=True, kw_only=True)
class StepMatch:
    """The steps of one call on both sides."""

    current: NDArray[np.int64]
    """``[n_pairs]``: places in the current side's call."""
    baseline: NDArray[np.int64]
    """``[n_pairs]``: places in the baseline's call."""
    kernels: tuple[Kernels, ...]
    """``[n_pairs]``."""
    only_current: dict[str, list[int]]
    """Places of the steps that the baseline does not have, by kernel."""
    only_baseline: dict[str, list[int]]

    def by_kernels(self) -> dict[Kernels, NDArray[np.int64]]:
        """Return the pairs of each two kernels.

        Two layers of the model fall apart here when either side has two kernels for them, such as
        attention with and without a window.
        """
        places: dict[Kernels, list[int]] = {}
        for place, kernels in enumerate(self.kernels):
            places.setdefault(kernels, []).append(place)
        return {kernels: np.array(found) for kernels, found in places.items()}


def match_steps(
    current: Plan, current_times: CallTimes, baseline: Plan, baseline_times: CallTimes
) -> StepMatch:
    """Find the pairs of steps that have one label, as many rows, and the same turn in the call."""
    ours = dict(_named_steps(current, current_times))
    theirs = dict(_named_steps(baseline, baseline_times))
    names = [name for name in ours if name in theirs]
    return StepMatch(
        current=np.array([ours[name][0] for name in names], np.int64),
        baseline=np.array([theirs[name][0] for name in names], np.int64),
        kernels=tuple(Kernels(ours[name][1], theirs[name][1]) for name in names),
        only_current=_rest(ours, theirs),
        only_baseline=_rest(theirs, ours),
    )


_Name = tuple[str, str, int, int]
"""Segment, label, rows, and how often that was there before in the call: chunks of a prompt."""


def _named_steps(plan: Plan, times: CallTimes) -> Iterator[tuple[_Name, tuple[int, str]]]:
    """Yield the name of each step with its place in the call and its kernel."""
    seen: Counter[tuple[str, str, int]] = Counter()
    for place in range(len(times.ns)):
        segment = plan.segments[times.segment[place]]
        step = segment.steps[times.step[place]]
        name = (segment.name, step.label, int(times.num_tokens[place]))
        yield (*name, seen[name]), (place, step.kernel)
        seen[name] += 1


def _rest(
    steps: dict[_Name, tuple[int, str]], others: dict[_Name, tuple[int, str]]
) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for name, (place, kernel) in steps.items():
        if name not in others:
            places.setdefault(kernel, []).append(place)
    return places
