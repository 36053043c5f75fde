"""Calls in a browser: each is a launch of a shader module, and has a text of its own."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ossc.compiler.backends.gpu.device_calls import DeviceCalls
from ossc.compiler.backends.gpu.kernel_builder import MAX_BUFFERS
from ossc.compiler.backends.webgpu.wgsl import with_access, with_angles, with_literals
from ossc.compiler.lowering.flatten import FlatStep, Storage
from ossc.compiler.lowering.plan_segment import INTERFACE
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.plan import DeviceKernel, Role
from ossc.targets.errors import LoweringError

APART = (Role.TOKEN_IDS, Role.POSITIONS, Role.EXPERT_BOUNDS)
"""Roles of tensors that the page gives buffers of their own: kernels take the bounds of loops with
barriers from them, and WGSL lets only what is read from a ``read`` buffer decide about those."""


@dataclass
class WebCalls(DeviceCalls):
    """Generates WGSL, one module for each symbol: bindings of two in one text would clash.

    In WebGPU no buffer may be ``read`` and ``read_write`` in one dispatch, and all of the state,
    and all scratch, lies in one. What lies apart is weights, and what `APART` names.
    """

    apart: dict[str, tuple[bool, ...]] = field(default_factory=dict)
    """Which arguments of a function lie apart, by its symbol."""

    def step(self, call: FlatStep, tensors: Sequence[int], kv: KvType) -> DeviceKernel:
        """See `Calls`.

        Raises:
            LoweringError: The call has more buffers than WebGPU binds.
        """
        step = super().step(call, tensors, kv)
        if len(step.tensors) > MAX_BUFFERS:
            raise LoweringError(
                f"{call.label} takes {len(step.tensors)} buffers, and WebGPU binds {MAX_BUFFERS}; "
                "compile the model for another target."
            )
        arguments = self.functions[call.symbol].arguments
        apart = tuple(_lies_apart(call.operands[each].storage) for each in arguments)
        known = self.apart.setdefault(call.symbol, apart)
        assert known == apart, f"calls of {call.symbol} differ in what they read"
        return step

    def code(self) -> dict[str, str]:
        """Return the files; each has its modules by the names of their kernels."""
        return {file: self._modules(symbols) for file, symbols in self.files.items()}

    def _modules(self, symbols: Iterable[str]) -> str:
        modules = {self.functions[symbol].name: self.module(symbol) for symbol in symbols}
        return json.dumps(modules, indent=1, sort_keys=True) + "\n"

    def module(self, symbol: str) -> str:
        """Return the text of the module of a symbol that was called."""
        source = with_access(self.functions[symbol].source, self.apart[symbol])
        return with_angles(with_literals(source))


def _lies_apart(storage: Storage) -> bool:
    if storage.origin == "input":
        return INTERFACE.get(storage.name) in APART
    return storage.origin == "weight" or storage.role in APART
