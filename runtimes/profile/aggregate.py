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
    seconds = [call.seconds for call in calls]
    low = np.percentile(seconds, 25, method="lower")  # of few calls, some lie there in any case
    high = np.percentile(seconds, 75, method="higher")
    return [call for call in calls if low <= call.seconds <= high]


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


def kernel_times(
    phase: PhaseName, bundled: Bundled, measured: Sequence[TimedCall], roofline: Roofline | None
) -> tuple[KernelTimes, ...]:
    """Sum the steps of the typical calls by kernel, for one call, the longest first."""
    sums: dict[str, _Sum] = defaultdict(_Sum)
    samples = _kernel_samples(bundled, measured)
    calls = typical_calls(measured)
    for call in calls:
        executions = list(bundled.executions(call))
        streamed = sum(one.cost.bytes.streamed(one.call) for one in executions)
        for one in executions:
            sums[one.step.kernel].add(one)
            if roofline is not None:
                sums[one.step.kernel].add_bound(bound(one.cost, one.call, roofline, streamed))
    total = sum(entry.ns for entry in sums.values())
    count = len(calls)
    rows = [
        KernelTimes(
            phase=phase,
            kernel=kernel,
            operation=bundled.costs[kernel].operation,
            scheme=bundled.costs[kernel].scheme,
            calls=round(entry.calls / count),
            ms=entry.ns / count / 1e6,
            share=entry.ns / total,
            bytes=entry.bytes / count,
            operations=entry.operations / count,
            gb_per_s=_per_ns(entry.bytes, entry.ns),
            gop_per_s=_per_ns(entry.operations, entry.ns),
            bound=entry.longest_bound(),
            of_bound=_per_ns(entry.bound_ns, entry.ns) if roofline else None,
            waiting=_per_ns(entry.waiting_ns, entry.thread_ns),
            samples_ms=tuple(samples[kernel]),
        )
        for kernel, entry in sums.items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.ms))


def _kernel_samples(bundled: Bundled, calls: Sequence[TimedCall]) -> dict[str, list[float]]:
    """Return the time of each kernel in each call, in ms."""
    samples: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        ns: Counter[str] = Counter()
        for execution in bundled.executions(call):
            ns[execution.step.kernel] += execution.ns
        for kernel, total in ns.items():
            samples[kernel].append(total / 1e6)
    return samples


def layer_times(
    phase: PhaseName, bundled: Bundled, calls: Sequence[TimedCall]
) -> tuple[LayerTimes, ...]:
    """Sum the steps of some calls by layer, for one call, in the order of the layers."""
    sums: dict[int, _Sum] = defaultdict(_Sum)
    for execution in _executions(bundled, calls):
        sums[execution.step.layer].add(execution)
    total = sum(entry.ns for entry in sums.values())
    return tuple(
        LayerTimes(
            phase=phase,
            layer=layer,
            ms=sums[layer].ns / len(calls) / 1e6,
            share=sums[layer].ns / total,
            bytes=sums[layer].bytes / len(calls),
        )
        for layer in sorted(sums)
    )


def expert_use(
    bundled: Bundled, prefills: Sequence[TimedCall], decodes: Sequence[TimedCall]
) -> tuple[ExpertUse, ...]:
    """Count how often each expert was chosen, and divide the time of decode among those that ran.

    Args:
        bundled: The bundle's plan and costs.
        prefills: Calls whose routing counts.
        decodes: Calls whose routing and times count.
    """
    layers = bundled.plan.router_layers
    known = max((cost.experts for cost in bundled.costs.values()), default=0)
    chosen_ids = [call.routing for call in (*prefills, *decodes)]
    experts = max([known, *(int(ids.max()) + 1 for ids in chosen_ids if ids.size)])
    counts = np.zeros((len(layers), experts), np.int64)
    for call in (*prefills, *decodes):
        for row, chosen in enumerate(call.routing):
            counts[row] += np.bincount(chosen.ravel(), minlength=experts)
    ms = np.zeros((len(layers), experts))
    expert_bytes = np.zeros(len(layers), np.int64)
    rows = {layer: row for row, layer in enumerate(layers)}
    for execution in _executions(bundled, decodes):
        if execution.cost.bytes.per_expert and execution.step.layer in rows:
            row, chosen = rows[execution.step.layer], execution.experts.ravel()
            np.add.at(ms[row], chosen, execution.ns / len(chosen) / 1e6)
    for step in bundled.plan.segment("decode").steps:
        if step.layer in rows:
            expert_bytes[rows[step.layer]] += bundled.costs[step.kernel].bytes.per_expert
    return tuple(
        ExpertUse(
            layer=layer,
            counts=tuple(counts[row].tolist()),
            ms=tuple(ms[row].tolist()),
            expert_bytes=int(expert_bytes[row]),
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


def _executions(bundled: Bundled, calls: Iterable[TimedCall]) -> Iterator[Execution]:
    for call in calls:
        yield from bundled.executions(call)


def _span(begin: int, end: int, origin: int) -> tuple[float, float]:
    return ((begin - origin) / 1e3, (end - begin) / 1e3) if end else (0.0, 0.0)


def _per_ns(amount: float, ns: float) -> float:
    return amount / ns if ns else 0.0
