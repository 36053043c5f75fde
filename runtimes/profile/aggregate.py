"""From the times of steps to those of kernels, layers and experts."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.kernel_cost import Call, KernelCost
from ossc.runtimes.plan import Plan, Step
from ossc.runtimes.profile.device.runner import CallTimes
from ossc.runtimes.profile.profile import (
    ExpertUse,
    KernelTimes,
    LayerTimes,
    PhaseName,
    StepSpan,
)
from ossc.runtimes.profile.roofline import Bound, BoundName, Roofline, bound


@dataclass(frozen=True, kw_only=True)
class TimedCall:
    """A prefill or a decoded token, with the time of every step."""

    position: int
    """Of its first token."""
    seconds: float
    """Wall time of the call."""
    times: CallTimes
    routing: NDArray[np.int32]
    """``[layers with a router, tokens, experts_per_tok]``."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One step as it ran."""

    step: Step
    cost: KernelCost
    call: Call
    begin_ns: int
    ns: int
    threads: NDArray[np.int64]
    """``[threads, 2]``: begin and end in ns; zeros where a thread had no task."""
    experts: NDArray[np.int32]
    """``[tokens, experts_per_tok]`` that the layer's router chose; empty without one."""


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """What a bundle says of its steps."""

    plan: Plan
    costs: Mapping[str, KernelCost]
    """By kernel."""

    def executions(self, call: TimedCall) -> Iterator[Execution]:
        """Walk the steps of a call in order, each with the bytes and operations of its chunk."""
        times, position, first = call.times, call.position, 0
        begin = times.begin_ns
        rows = {layer: row for row, layer in enumerate(self.plan.router_layers)}
        tokens = 0
        for index in range(len(times.ns)):
            segment = self.plan.segments[times.segment[index]]
            if times.step[index] == 0 and segment.name != "head":
                position, first = position + tokens, first + tokens
                tokens = int(times.num_tokens[index])
            step = segment.steps[times.step[index]]
            count = int(times.num_tokens[index])
            chosen = _chosen(call, rows.get(step.layer), first, tokens)
            cost = self.costs[step.kernel]
            distinct = len(np.unique(chosen)) if chosen.size else None
            yield Execution(
                step=step,
                cost=cost,
                call=cost.call(count, position, distinct),
                begin_ns=begin,
                ns=int(times.ns[index]),
                threads=times.thread_ns[index],
                experts=chosen,
            )
            begin += int(times.ns[index])


def _chosen(call: TimedCall, row: int | None, first: int, tokens: int) -> NDArray[np.int32]:
    if row is None:
        return np.empty((0, 0), np.int32)
    return call.routing[row, first : first + tokens]


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
        self.ns += execution.ns
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
            ns[one.step.kernel] += one.ns
            if one.cost.bytes.per_expert:
                for expert in one.experts.ravel().tolist():
                    self.expert_ms[one.step.layer][expert] += one.ns / one.experts.size / 1e6
        for kernel, total in ns.items():
            self.samples_ms[kernel].append(total / 1e6)

    def add_typical(self, executions: Sequence[Execution], roofline: Roofline | None) -> None:
        streamed = sum(one.cost.bytes.streamed(one.call) for one in executions)
        self.typical_count += 1
        for one in executions:
            self.ns += one.ns
            self.layers[one.step.layer].add(one)
            self.kernels[one.step.kernel].add(one)
            if roofline is not None:
                limit = bound(one.cost, one.call, roofline, streamed)
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


def expert_use(
    bundled: Bundled, calls: Sequence[TimedCall], ms: Mapping[int, Mapping[int, float]]
) -> tuple[ExpertUse, ...]:
    """Count how often each expert was chosen.

    Args:
        bundled: The bundle's plan and costs.
        calls: Of prefill and decode, whose routing counts.
        ms: The time of experts in decode, see `PhaseTimes`.
    """
    layers = bundled.plan.router_layers
    known = max((cost.experts for cost in bundled.costs.values()), default=0)
    chosen_ids = [call.routing for call in calls if call.routing.size]
    experts = max([known, *(int(ids.max()) + 1 for ids in chosen_ids)])
    counts = np.zeros((len(layers), experts), np.int64)
    for ids in chosen_ids:
        for row, chosen in enumerate(ids):
            counts[row] += np.bincount(chosen.ravel(), minlength=experts)
    expert_bytes: Counter[int] = Counter()
    for step in bundled.plan.segment("decode").steps:
        expert_bytes[step.layer] += bundled.costs[step.kernel].bytes.per_expert
    return tuple(
        ExpertUse(
            layer=layer,
            counts=tuple(counts[row].tolist()),
            ms=tuple(ms.get(layer, {}).get(expert, 0.0) for expert in range(experts)),
            expert_bytes=expert_bytes[layer],
            entropy=entropy(counts[row]),
        )
        for row, layer in enumerate(layers)
    )


def entropy(counts: NDArray[np.int64]) -> float:
    """Return the entropy of some counts over that of equal ones; 1 where nothing was counted."""
    total = counts.sum()
    if total == 0 or len(counts) < 2:
        return 1.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log(shares)).sum() / math.log(len(counts)))


def timeline(bundled: Bundled, call: TimedCall) -> tuple[StepSpan, ...]:
    """Lay out the steps of one call, with the work of each thread."""
    origin = call.times.begin_ns
    return tuple(
        StepSpan(
            label=execution.step.label,
            kernel=execution.step.kernel,
            layer=execution.step.layer,
            begin_us=(execution.begin_ns - origin) / 1e3,
            us=execution.ns / 1e3,
            threads=tuple(_span(begin, end, origin) for begin, end in execution.threads.tolist()),
        )
        for execution in bundled.executions(call)
    )


def coverage(calls: Iterable[TimedCall]) -> float:
    """Return the time of all steps over the wall time of their calls."""
    calls = list(calls)
    steps_ns = sum(int(call.times.ns.sum()) for call in calls)
    return steps_ns / 1e9 / sum(call.seconds for call in calls)


def _span(begin: int, end: int, origin: int) -> tuple[float, float]:
    return ((begin - origin) / 1e3, (end - begin) / 1e3) if end else (0.0, 0.0)


def _per_ns(amount: float, ns: float) -> float:
    return amount / ns if ns else 0.0
