"""How long a kernel's call must take on a machine, by each of its limits.

The roofline model (Williams, Waterman and Patterson 2009), with two limits more: integer
arithmetic, and what it costs to hand a step to the threads.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from ossc.runtimes.kernel_cost import Call, KernelCost
from ossc.targets.roofline import Roofline

__all__ = ["Bound", "BoundName", "Limits", "Roofline", "bound", "limits", "working_set_bytes"]

BoundName = Literal["memory", "f32", "int8", "launch"]

INT8_TERMS = {"int8": 1, "int8x2": 2}
"""Integer products for each one of the model."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The time that each limit alone would give one call."""

    memory_ms: float
    f32_ms: float
    int8_ms: float
    launch_ms: float


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The limit that holds a call back last, and the time that it takes by itself."""

    name: BoundName
    ms: float


def working_set_bytes(calls: Iterable[tuple[KernelCost, Call]]) -> float:
    """Return what a pass through the model reads that the steps before have not just written.

    It says how near weights and KV cache are when the next pass comes: that may choose other
    experts, so all of them count.
    """
    return sum(cost.bytes.streamed(replace(call, experts=cost.experts)) for cost, call in calls)


def limits(
    cost: KernelCost, call: Call, roofline: Roofline, working_set: float | None = None
) -> Limits:
    """Compute the limits of one call.

    Args:
        cost: The kernel's.
        call: The size of the call.
        roofline: The machine's.
        working_set: The pass's `working_set_bytes`, which decide how far away weights and KV cache
            are; None: farther than any cache. The call's own activations are as near as their size
            allows, because the steps before have just written them.
    """
    streamed = cost.bytes.streamed(call)
    local = cost.bytes.of(call) - streamed
    far = math.inf if working_set is None else working_set
    operations = cost.operations.of(call)
    terms = INT8_TERMS.get(cost.arithmetic, 0)
    floats = operations if terms == 0 else 0
    return Limits(
        memory_ms=1e-6 * (streamed / roofline.read_rate(far) + local / roofline.read_rate(local)),
        f32_ms=1e-6 * floats / roofline.f32_gflops,
        int8_ms=1e-6 * operations * terms / roofline.int8_gops,
        launch_ms=1e-6 * roofline.launch_ns,
    )


def bound(
    cost: KernelCost, call: Call, roofline: Roofline, working_set: float | None = None
) -> Bound:
    """Return which of the limits holds a call back last; the arguments are those of `limits`."""
    times = limits(cost, call, roofline, working_set)
    by_name: dict[BoundName, float] = {
        "memory": times.memory_ms,
        "f32": times.f32_ms,
        "int8": times.int8_ms,
        "launch": times.launch_ms,
    }
    name = max(by_name, key=by_name.__getitem__)
    return Bound(name=name, ms=by_name[name])
