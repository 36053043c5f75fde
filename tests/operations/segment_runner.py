"""Runs the segments of one node on NumPy arrays, on the CPU or on another device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import onnx_ir as ir
import tvm
from numpy.typing import NDArray

from operations.case import Arrays
from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.operations import OPERATIONS
from ossc.compiler.lowering.calls import HOST_CALLS, Calls
from ossc.compiler.lowering.flatten import FlatSegment, FlatStep, Operand, Storage, flatten
from ossc.compiler.lowering.importer import OperationTable, translate_nodes
from ossc.compiler.lowering.legalize import legalize_and_fuse, tvm_target
from ossc.compiler.lowering.library import KernelLibrary
from ossc.compiler.lowering.segment import LoweringOptions, SegmentBuilder
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.plan import N_TOKENS, DType, SegmentName
from ossc.targets import resolve_target

TARGET = resolve_target("cpu")
"""The one that this machine is."""

ALIGNMENT_BYTES = TARGET.alignment_bytes

CACHES = {"past_key", "past_value"}
"""Inputs of a node that are the state of a session."""

_NUMPY = {
    DType.F16: "float16",
    DType.F32: "float32",
    DType.I8: "int8",
    DType.U8: "uint8",
    DType.I16: "int16",
    DType.U16: "uint16",
    DType.I32: "int32",
    DType.I64: "int64",
}
"""Types of the buffers that kernels of the CPU read and write."""

Arguments = Sequence[NDArray]
"""The buffers of a call."""


class Device(Protocol):
    """What computes the steps of a segment."""

    @property
    def operations(self) -> OperationTable:
        """What it has kernels for."""

    @property
    def calls(self) -> Calls:
        """How it is told what to run."""

    def run(self, step: FlatStep, arguments: Arguments, tokens: int) -> None:
        """Run a step."""


_kernels: dict[str, tvm.tirx.PrimFunc] = {}
"""Kernels that were called, by symbol: those of one symbol are the same."""


class NodeRunner:
    """A node as segments for one token and for a chunk, which share weights and state."""

    def __init__(
        self, node: ir.Node, options: LoweringOptions, device: Device | None = None
    ) -> None:
        """Lower the node.

        Args:
            node: With names of its values as in the dialect.
            options: What for.
            device: What computes it; by default this CPU.

        Raises:
            LoweringError: It has no lowering.
        """
        self._device = device = device or Cpu()
        weights: dict[str, PackedWeight] = {}
        chunk = options.prefill_chunk
        sizes: tuple[tuple[SegmentName, int], ...] = (("decode", 1), ("prefill", chunk))
        self.decode, self.prefill = (
            _lower(node, SegmentBuilder(name, tokens, options, weights, KernelLibrary()), device)
            for name, tokens in sizes
        )
        self._memory = {name: _packed(weight) for name, weight in weights.items()}

    def run(self, inputs: Arrays, tokens: int) -> Arrays:
        """Return the outputs of a call; the state is that after all calls before.

        Args:
            inputs: By name, as the node has them.
            tokens: Of the call; one are decoded, several prefilled.
        """
        segment = self.decode if tokens == 1 else self.prefill
        assert tokens <= segment.max_tokens
        buffers: dict[Storage, NDArray[np.uint8]] = {}
        for step in segment.steps:
            for operand in step.operands:
                self._allocate(operand, tokens, buffers)
        for name, operand in segment.inputs.items():
            given = np.ascontiguousarray(inputs[name].astype(_NUMPY[operand.dtype]))
            given = given.reshape(-1).view(np.uint8)
            buffers[operand.storage][: given.size] = given
        for step in segment.steps:
            arguments = [_view(operand, buffers, tokens) for operand in step.operands]
            self._device.run(step, arguments, tokens)
        return {
            name: _view(operand, buffers, tokens).copy()
            for name, operand in segment.outputs.items()
        }

    def _allocate(
        self, operand: Operand, tokens: int, buffers: dict[Storage, NDArray[np.uint8]]
    ) -> None:
        """Give a storage its bytes: those of the weight or state, or ones, which are NaN."""
        storage, size = operand.storage, operand.size_bytes(tokens)
        if storage.origin in ("weight", "state"):
            known = self._memory.setdefault(storage.name, _ones(size))
            assert known.nbytes == size, f"{storage.name} has {known.nbytes} bytes, not {size}"
            buffers[storage] = known
        elif buffers.get(storage, _ones(0)).nbytes < size:
            buffers[storage] = _ones(size)


def _lower(node: ir.Node, segment: SegmentBuilder, device: Device) -> FlatSegment:
    def translate() -> dict[str, object]:
        for value in node.inputs:
            if value is not None and value.const_value is None and value.name not in CACHES:
                shape, dtype = _input_type(value, segment, device.operations.index_dtype)
                variable = segment.parameter(f"{value.name}", "input", shape, dtype)
                segment.values[value] = variable
        translate_nodes(segment, [node], device.operations)
        computed = [value for value in node.outputs if value in segment.values]
        return {f"{value.name}": segment.values[value] for value in computed}

    built = segment.run(translate)
    module = device.calls.schedule(legalize_and_fuse(built.module, segment.options.target))
    return flatten(built, module, segment.library.kernels)


def _input_type(
    value: ir.Value, segment: SegmentBuilder, index_dtype: str
) -> tuple[list[object], str]:
    """Return shape and dtype; one sequence, and chosen experts are int32 here."""
    assert value.shape is not None
    named = {"B": 1, "S": segment.rows, "T": segment.rows}
    shape = [dim if isinstance(dim, int) else named[str(dim)] for dim in value.shape]
    if value.name == "indices":
        return shape, "int32"
    return shape, index_dtype if value.dtype == ir.DataType.INT64 else "float32"


@dataclass(frozen=True)
class Cpu:
    """This CPU: kernels are compiled for its target, and called."""

    operations: OperationTable = OPERATIONS
    calls: Calls = HOST_CALLS

    def run(self, step: FlatStep, arguments: Arguments, tokens: int) -> None:
        """Run a step; a kernel's tasks in two ranges, the later one first."""
        tensors = [tvm.runtime.from_dlpack(each) for each in arguments]
        if step.kernel is None:
            _compiled(step.symbol, step.function)(*tensors)
            return
        kernel = _kernels.setdefault(step.symbol, step.kernel.func)
        tasks = step.kernel.tasks
        count = tasks.fixed + tasks.per_token * tokens
        for begin, end in ((count // 2, count), (0, count // 2)):
            _compiled(step.symbol, kernel)(*tensors, begin, end)


@cache
def _compiled(symbol: str, function: tvm.tirx.PrimFunc) -> Callable[..., None]:
    return generate_code({symbol: function}, tvm_target(TARGET))[symbol]


def _view(operand: Operand, buffers: dict[Storage, NDArray[np.uint8]], tokens: int) -> NDArray:
    shape = [tokens if dim == N_TOKENS else dim for dim in operand.shape]
    used = buffers[operand.storage][: operand.size_bytes(tokens)]
    return used.view(_NUMPY[operand.dtype]).reshape(shape)


def _packed(weight: PackedWeight) -> NDArray[np.uint8]:
    whole = _ones(weight.size_bytes)
    whole[:] = np.concatenate([piece.reshape(-1) for piece in weight.pieces()])
    return whole


def _ones(size_bytes: int) -> NDArray[np.uint8]:
    """Return aligned bytes of 255."""
    storage = np.full(size_bytes + ALIGNMENT_BYTES, 0xFF, np.uint8)
    begin = -storage.ctypes.data % ALIGNMENT_BYTES
    return storage[begin : begin + size_bytes]
