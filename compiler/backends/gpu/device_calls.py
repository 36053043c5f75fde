"""Calls on a GPU: each is a launch of a function of the bundle's code file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tvm
from tvm import tirx
from tvm.s_tir import dlight

from ossc.compiler.backends.gpu.codegen import DeviceFunction, generate_device_function
from ossc.compiler.backends.gpu.kernel_builder import MAX_ITEMS
from ossc.compiler.backends.signal_actions import kept_interrupt_action
from ossc.compiler.lowering.flatten import FlatStep
from ossc.compiler.lowering.launch import Grid, Launch
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.plan import DeviceKernel


@dataclass
class DeviceCalls:
    """Generates the code of what is called, once for each symbol."""

    language: str
    """TVM's kind of target."""
    suffix: str
    """Of the names of files of code, such as ``cl``."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of TVM's target, such as the architecture."""
    functions: dict[str, DeviceFunction] = field(default_factory=dict)
    """By the symbol that is called."""
    files: dict[str, set[str]] = field(default_factory=dict)
    """The symbols of each file of code: a plan needs that of all plans, and that of its caches."""

    def schedule(self, module: tvm.IRModule) -> tvm.IRModule:
        """Share the loops of what Relax generated among work-items; see `Calls`."""
        generated = {
            variable: function
            for variable, function in module.functions.items()
            if isinstance(function, tirx.PrimFunc) and not _is_launched(function)
        }
        narrow = tirx.transform.ForceNarrowIndexToInt32()
        with self.target, kept_interrupt_action():
            schedule = dlight.ApplyDefaultSchedule(dlight.gpu.Fallback())
            scheduled = schedule(narrow(tvm.IRModule(generated)))
        others = {v: f for v, f in module.functions.items() if v not in generated}
        return tvm.IRModule({**others, **scheduled.functions})

    def step(self, call: FlatStep, tensors: Sequence[int], kv: KvType) -> DeviceKernel:
        """See `Calls`."""
        function = self._function(call)
        code = f"kernels.{kv}.{self.suffix}" if call.has_state else f"kernels.{self.suffix}"
        self.files.setdefault(code, set()).add(call.symbol)
        return DeviceKernel(
            code=code,
            kernel=function.name,
            takes_rows=function.takes_rows,
            grid=function.grid.groups,
            block=function.grid.block,
            tensors=tuple(tensors[index] for index in function.arguments),
            layer=call.layer,
            label=call.label,
        )

    def code(self) -> dict[str, str]:
        """Return the files, their functions in an order that depends on their symbols alone."""
        return {
            file: "\n".join(self.functions[symbol].source for symbol in sorted(symbols))
            for file, symbols in self.files.items()
        }

    def generate(self, call: FlatStep) -> DeviceFunction:
        """Compile what is called."""
        return generate_device_function(call.symbol, call.function, self.target)

    @property
    def target(self) -> tvm.target.Target:
        """TVM's target."""
        fields = {"kind": self.language, "max_num_threads": MAX_ITEMS, **self.options}
        return tvm.target.Target(fields)

    def _function(self, call: FlatStep) -> DeviceFunction:
        if call.symbol not in self.functions:
            generated = self.generate(call)
            assert call.kernel is None or _counts(call.kernel.launch) == _counts(generated.grid)
            self.functions[call.symbol] = generated
        return self.functions[call.symbol]


def _counts(launch: Launch) -> tuple[list[int], tuple[int, int, int]]:
    """Return the groups for one token, and their sizes."""
    assert isinstance(launch, Grid), "a kernel for CPUs"
    return [groups.count(1) for groups in launch.groups], launch.block


def _is_launched(function: tirx.PrimFunc) -> bool:
    """Tell a kernel of ours, whose body opens a grid already."""
    return isinstance(function.body, tirx.AttrStmt)
