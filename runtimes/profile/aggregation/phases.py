"""The calls of one phase, summed up by kernel and by layer."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ossc.runtimes.kernel_cost import KernelCost
from ossc.runtimes.profile.aggregation.executions import Bundled, Execution, TimedCall
from ossc.runtimes.profile.profile import KernelTimes, LayerTimes, PhaseName
from ossc.runtimes.profile.roofline import Bound, BoundName, Roofline, bound, working_set_bytes


def typical_calls(calls: Sequence[TimedCall]) -> list[TimedCall]:
    """Return the calls whose wall time lies between the quartiles: their mean is no outlier's."""
    low, high = _quartiles(calls)
    return [call for call in calls if low <= call.seconds <= high]


def _quartiles(calls: Sequence[TimedCall]) -> tuple[float, float]:
    """Two wall times of calls, between which some lie even of few calls."""
    seconds = [call.seconds for call in calls]
    low = np.percentile(seconds, 25, method="lower")
    return float(low), float(np.percentile(seconds, 75, method="higher"))


@dataclass
class _Sum:
    calls: int = 0
    ns: int = 0
    bytes: float = 0
    operations: float = 0
    bound_ns: float = 0
    bounds: dict[BoundName, float] = field(default_factory=lambda: defaultdict(float))
    waiting_ns: float = 0
    thread_ns: float = 0

    def add(self, execution: Execution) -> None:
        self.calls += 1
        self.ns += execution.worked_ns
        self.bytes += execution.cost.bytes.of(execution.call)
        self.operations += execution.cost.operations.of(execution.call)
        busy = int((execution.threads[:, 1] - execution.threads[:, 0]).sum())
        self.thread_ns += execution.ns * len(execution.threads)
        self.waiting_ns += max(0, execution.ns * len(execution.threads) - busy)

    def longest_bound(self) -> BoundName | None:
        if not self.bounds:
            return None
        return max(self.bounds, key=self.bounds.__getitem__)

    def add_bound(self, limit: Bound) -> None:
        self.bounds[limit.name] += limit.ms
        self.bound_ns += limit.ms * 1e6


@dataclass(frozen=True, kw_only=True)
class PhaseTimes:
    """The calls of one phase, summed up."""

    kernels: tuple[KernelTimes, ...]
    """The longest first."""
    layers: tuple[LayerTimes, ...]
    """In their order."""
    expert_ms: Mapping[int, Mapping[int, float]]
    """By layer and expert: the part of the expert kernels' time in all calls that is its own."""


def phase_times(
    phase: PhaseName, bundled: Bundled, calls: Sequence[TimedCall], roofline: Roofline | None
) -> PhaseTimes:
    """Sum up the calls of one phase; the steps of each are walked once.

    Times of kernels and of layers are those of one typical call (`typical_calls`): the same calls
    for both, so that both add up to one time, which is none that other work disturbed. The samples
    of a kernel are of all calls, because they are there to show how much these differ, and so are
    the times of experts, because each call chooses others.
    """
    sums = _PhaseSums()
    low, high = _quartiles(calls)
    for call in calls:
        executions = list(bundled.executions(call))
        sums.add_any(executions)
        if low <= call.seconds <= high:
            sums.add_typical(executions, roofline)
    kernels = [sums.kernel_times(phase, kernel, bundled.costs[kernel]) for kernel in sums.kernels]
    return PhaseTimes(
        kernels=tuple(sorted(kernels, key=lambda row: -row.ms)),
        layers=tuple(sums.layer_times(phase, layer) for layer in sorted(sums.layers)),
        expert_ms=sums.expert_ms,
    )


@dataclass
class _PhaseSums:
    typical_count: int = 0
    ns: int = 0
    kernels: dict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    layers: dict[int, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    samples_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    expert_ms: dict[int, dict[int, float]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(float))
    )

    def add_any(self, executions: Sequence[Execution]) -> None:
        ns: Counter[str] = Counter()
        for one in executions:
            ns[one.step.kernel] += one.worked_ns
            if one.cost.bytes.per_expert:
                for expert in one.experts.ravel().tolist():
                    self.expert_ms[one.step.layer][expert] += one.worked_ns / one.experts.size / 1e6
        for kernel, total in ns.items():
            self.samples_ms[kernel].append(total / 1e6)

    def add_typical(self, executions: Sequence[Execution], roofline: Roofline | None) -> None:
        working_set = working_set_bytes((one.cost, one.call) for one in executions)
        self.typical_count += 1
        for one in executions:
            self.ns += one.worked_ns
            self.layers[one.step.layer].add(one)
            self.kernels[one.step.kernel].add(one)
            if roofline is not None:
                limit = bound(one.cost, one.call, roofline, working_set)
                self.kernels[one.step.kernel].add_bound(limit)

    def kernel_times(self, phase: PhaseName, kernel: str, cost: KernelCost) -> KernelTimes:
        total, count = self.kernels[kernel], self.typical_count
        longest_bound = total.longest_bound()
        return KernelTimes(
            phase=phase,
            kernel=kernel,
            operation=cost.operation,
            scheme=cost.scheme,
            calls=round(total.calls / count),
            ms=total.ns / count / 1e6,
            share=total.ns / self.ns,
            bytes=total.bytes / count,
            operations=total.operations / count,
            gb_per_s=_per_ns(total.bytes, total.ns),
            gop_per_s=_per_ns(total.operations, total.ns),
            bound=longest_bound,
            of_bound=_per_ns(total.bound_ns, total.ns) if longest_bound else None,
            waiting=_per_ns(total.waiting_ns, total.thread_ns),
            samples_ms=tuple(self.samples_ms[kernel]),
        )

    def layer_times(self, phase: PhaseName, layer: int) -> LayerTimes:
        total, count = self.layers[layer], self.typical_count
        return LayerTimes(
            phase=phase,
            layer=layer,
            ms=total.ns / count / 1e6,
            share=total.ns / self.ns,
            bytes=total.bytes / count,
        )


def _per_ns(amount: float, ns: float) -> float:
    return amount / ns if ns else 0.0
