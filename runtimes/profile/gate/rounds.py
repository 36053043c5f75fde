"""Interleaved runs of two bundles: what one round measures, and how rounds add up.

A round starts both bundles in new processes, because where a process has its memory changes its
times as much as a small regression does, and stays for its life. In it, short slices of both sides
alternate, A B B A: what else the machine does lasts longer than a slice and meets both. Of the few
calls in a slice each step's shortest time counts, which is that of a call that nobody disturbed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.device.answers import CallTimes
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.gate.conditions import check_one_device
from ossc.runtimes.profile.gate.statistics import SHORTEST_MS
from ossc.runtimes.profile.gate.steps import Kernels, StepMatch, match_steps
from ossc.runtimes.profile.make_profile import device_note
from ossc.runtimes.profile.places import Place
from ossc.runtimes.profile.workload import Tokens, Workload

SLICE_MS = 20.0
"""Calls that follow each other on one side take about so long, or are a single one."""

MAX_SLICE_CALLS = 16

ROUND_MS = 160.0
"""Slices of both sides take about so long in a round, in each phase."""

MIN_SLICES = 2
MAX_SLICES = 8
"""Of each side in a round."""


@dataclass(frozen=True)
class Phase:
    """A prompt of some length, or tokens that are decoded from some depth on."""

    name: Literal["decode", "prefill"]
    tokens: int

    def __str__(self) -> str:
        return f"{self.name} {'at' if self.name == 'decode' else 'of'} {self.tokens}"


def phases(workload: Workload) -> tuple[Phase, ...]:
    """List what a workload runs."""
    decodes = (Phase("decode", depth) for depth in workload.depths)
    return (*decodes, *(Phase("prefill", count) for count in workload.prompt_tokens))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two bundles, where and with what they run."""

    current: Bundle
    baseline: Bundle
    workload: Workload
    """That fits both."""
    tokens: Tokens
    place: Place

    def run_round(self, number: int, records: Sequence["PhaseRecord"]) -> None:
        """Start both bundles and measure some phases.

        Raises:
            NotComparableError: They ran on different devices.
            SessionError: The place cannot run a bundle, or a run failed.
        """
        swapped = number % 2 == 1
        with self._start(swapped) as first, self._start(not swapped) as second:
            current, baseline = (second, first) if swapped else (first, second)
            check_one_device(device_note(current.hello.device), device_note(baseline.hello.device))
            for runner in (current, baseline):
                runner.times(True)
            for record in records:
                record.measure(current, baseline, self, swapped)

    def _start(self, is_baseline: bool) -> Runner:
        bundle = self.baseline if is_baseline else self.current
        workload = self.workload
        return self.place.start(bundle, workload.threads, workload.weights, workload.device)


@dataclass
class Ratios:
    """One time of both sides, a value for each round."""

    logs: list[float] = field(default_factory=list)
    """Of current over baseline."""
    current_ms: list[float] = field(default_factory=list)
    baseline_ms: list[float] = field(default_factory=list)


class PhaseRecord:
    """What the rounds measured of one phase."""

    match: StepMatch

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self.total = Ratios()
        self.kernels: dict[Kernels, Ratios] = {}
        self.only_current_ms: dict[str, list[float]] = {}
        self.only_baseline_ms: dict[str, list[float]] = {}
        self._call_ms = math.inf

    @property
    def rounds(self) -> int:
        """How many were measured."""
        return len(self.total.logs)

    def measure(self, current: Runner, baseline: Runner, pair: Pair, swapped: bool) -> None:
        """Add a round."""
        if self.rounds == 0:
            self._prepare(current, baseline, pair)  # it also reads the files from the disk
        self._prepare(current, baseline, pair)
        calls = self._slice_calls(pair.workload.new_tokens - 1)
        ours: list[NDArray[np.float64]] = []
        theirs: list[NDArray[np.float64]] = []
        for number in range(self._count_slices(calls)):
            sides = [(current, ours), (baseline, theirs)]
            for runner, slices in sides if swapped == (number % 2 == 1) else sides[::-1]:
                slices.append(self._shortest(run_calls(runner, self.phase, calls, pair)))
        self._add(np.array(ours), np.array(theirs))

    def _prepare(self, current: Runner, baseline: Runner, pair: Pair) -> None:
        """Run a slice that does not count: it loads pages and caches, and tells how long it is."""
        calls = self._slice_calls(pair.workload.new_tokens - 1)
        times = [run_calls(side, self.phase, calls, pair) for side in (current, baseline)]
        if self.rounds == 0:
            ours, theirs = times[0][0], times[1][0]
            self.match = match_steps(pair.current.plan, ours, pair.baseline.plan, theirs)
        call_ms = max(float(self._shortest(calls).sum()) for calls in times)
        self._call_ms = min(self._call_ms, call_ms)  # the first one may have met other work

    def _slice_calls(self, most: int) -> int:
        return min(_between(SLICE_MS / self._call_ms, 1, MAX_SLICE_CALLS), most)

    def _count_slices(self, calls: int) -> int:
        """Return how many slices of each side a round has: an even number, for A B B A."""
        both_ms = 2 * calls * self._call_ms
        return 2 * (_between(ROUND_MS / both_ms, MIN_SLICES, MAX_SLICES) // 2)

    @staticmethod
    def _shortest(calls: Sequence[CallTimes]) -> NDArray[np.float64]:
        """Return the shortest time of each step in ms, ``[n_steps]``."""
        shortest: NDArray[np.int64] = np.min([call.ns for call in calls], axis=0)
        return np.maximum(shortest.astype(np.float64) / 1e6, SHORTEST_MS)

    def _add(self, current: NDArray[np.float64], baseline: NDArray[np.float64]) -> None:
        """Add the slices of a round, ``[n_slices, n_steps]`` in ms."""
        _append(self.total, current.sum(1, keepdims=True), baseline.sum(1, keepdims=True))
        ours, theirs = current[:, self.match.current], baseline[:, self.match.baseline]
        for kernels, places in self.match.by_kernels().items():
            ratios = self.kernels.setdefault(kernels, Ratios())
            _append(ratios, ours[:, places], theirs[:, places])
        for kernel, steps in self.match.only_current.items():
            self.only_current_ms.setdefault(kernel, []).append(_typical(current[:, steps]))
        for kernel, steps in self.match.only_baseline.items():
            self.only_baseline_ms.setdefault(kernel, []).append(_typical(baseline[:, steps]))


def run_calls(runner: Runner, phase: Phase, calls: int, pair: Pair) -> list[CallTimes]:
    """Run a slice on one side; a token that is decoded before it does not count.

    That token finds the caches full of the other side's data.
    """
    if phase.name == "decode":
        runner.fill(phase.tokens)
        times = runner.decode(pair.tokens.take(phase.tokens, calls + 1)).times
        assert times is not None, "they were asked for"
        return list(times[1:])
    return [_prefill(runner, pair.tokens.take(0, phase.tokens)) for _ in range(calls)]


def _prefill(runner: Runner, token_ids: list[int]) -> CallTimes:
    runner.reset()
    times = runner.prefill(token_ids).times
    assert times is not None, "they were asked for"
    return times


def _append(ratios: Ratios, current: NDArray[np.float64], baseline: NDArray[np.float64]) -> None:
    """Add a round of ``[n_slices, n_steps]``: every two steps are a pair, their median counts."""
    ratios.logs.append(float(np.median(np.log(current / baseline))))
    ratios.current_ms.append(_typical(current))
    ratios.baseline_ms.append(_typical(baseline))


def _typical(slices: NDArray[np.float64]) -> float:
    return float(np.median(slices.sum(1)))


def _between(value: float, least: int, most: int) -> int:
    return max(least, min(most, math.ceil(value)))
