"""The steps of a call as they ran: what the plan says of each, and how long it took."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.kernel_cost import Call, KernelCost
from ossc.runtimes.plan import DeviceKernel, Plan, Step
from ossc.runtimes.profile.device.answers import CallTimes


@dataclass(frozen=True, kw_only=True)
class TimedCall:
    """A prefill or a decoded token, with the time of every step."""

    position: int
    """Of its first token."""
    seconds: float
    """Wall time of the call."""
    times: CallTimes
    routing: NDArray[np.int32]
    """``[layers with a router, tokens, num_experts_per_tok]``; -1 where a router chooses fewer."""


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
    """``[tokens, k]`` that the layer's router chose; empty without one."""

    @property
    def worked_ns(self) -> int:
        """How long the kernel took: behind a driver, without its launch and what came after it."""
        if not isinstance(self.step, DeviceKernel):
            return self.ns
        begin, end = self.threads[0].tolist()
        return int(end - begin)


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
        routers = {
            layer: (row, k) for row, (layer, k) in enumerate(self.plan.router_widths.items())
        }
        tokens = 0
        for index in range(len(times.ns)):
            segment = self.plan.segments[times.segment[index]]
            if times.step[index] == 0 and segment.name != "head":
                position, first = position + tokens, first + tokens
                tokens = int(times.num_tokens[index])
            step = segment.steps[times.step[index]]
            count = int(times.num_tokens[index])
            chosen = _chosen(call, routers.get(step.layer), first, tokens)
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


def _chosen(
    call: TimedCall, router: tuple[int, int] | None, first: int, tokens: int
) -> NDArray[np.int32]:
    if router is None:
        return np.empty((0, 0), np.int32)
    row, k = router
    return call.routing[row, first : first + tokens, :k]


def coverage(calls: Iterable[TimedCall]) -> float:
    """Return the time of all steps over the wall time of their calls."""
    calls = list(calls)
    steps_ns = sum(int(call.times.ns.sum()) for call in calls)
    return steps_ns / 1e9 / sum(call.seconds for call in calls)
