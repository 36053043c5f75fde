"""What a backend makes of the calls of a segment: functions of its device, and steps of a plan."""

from collections.abc import Sequence
from typing import Protocol

import tvm

from ossc.compiler.lowering.flatten import FlatStep
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.plan import HostKernel
from ossc.runtimes.plan.step_kinds import Step


class Calls(Protocol):
    """How a device is told what to run."""

    def schedule(self, module: tvm.IRModule) -> tvm.IRModule:
        """Give the functions that Relax generated the loops that the device runs.

        Args:
            module: A segment's, legalized and fused; kernels of ours stay as they are.
        """

    def step(self, call: FlatStep, tensors: Sequence[int], kv: KvType) -> Step:
        """Return the step that makes a call.

        Args:
            call: Of a segment.
            tensors: Its operands in the plan.
            kv: The type of the plan's KV caches.
        """

    def code(self) -> dict[str, str]:
        """Return the text of the code files that the steps made so far name, by file."""


class HostCalls:
    """Functions of the program, which the runtime calls: those of ours for ranges of tasks."""

    def schedule(self, module: tvm.IRModule) -> tvm.IRModule:
        """Leave the loops as they are."""
        return module

    def step(self, call: FlatStep, tensors: Sequence[int], kv: KvType) -> HostKernel:
        """See `Calls`."""
        del kv
        kernel = call.kernel
        return HostKernel(
            kernel=call.symbol,
            tensors=tuple(tensors),
            ranged=kernel is not None,
            tasks_fixed=kernel.tasks.fixed if kernel else 0,
            tasks_per_token=kernel.tasks.per_token if kernel else 0,
            layer=call.layer,
            label=call.label,
        )

    def code(self) -> dict[str, str]:
        """Return nothing: the functions become part of the program."""
        return {}


HOST_CALLS = HostCalls()
