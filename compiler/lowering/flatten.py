"""Relax → a list of calls: which function runs on which buffers.

After the passes a segment's ``main`` is one dataflow block of ``call_tir`` and
``call_tir_inplace``, tuple items and reshapes. Walking it gives the steps; a reshape and an update
in place are further names of the buffer that they read.
"""

import itertools
import math
import re
from dataclasses import dataclass, field

import tvm
from tvm import relax

from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.segment import Origin, RelaxSegment
from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.plan import N_TOKENS, DType, Role, SegmentName
from ossc.targets.errors import LoweringError

PLAN_DTYPES = {
    "float32": DType.F32,
    "int8": DType.I8,
    "uint8": DType.U8,
    "int32": DType.I32,
    "int64": DType.I64,
    "bfloat16": DType.BF16,
    "uint16": DType.U16,
    "int16": DType.I16,
    "float16": DType.F16,
    "bool": DType.BOOL,
    "uint32": DType.I32,  # words, of which a plan only counts the bytes
}
"""TVM's types of elements, as plans name them."""

_LAYER = re.compile(r"\blayers[._/](\d+)")
_HINT = re.compile(r"op\d+_")


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Bytes that a buffer lives in, before they have an offset."""

    name: str
    origin: Origin | None
    """None: scratch, or an output of the segment."""
    role: Role = Role.OTHER
    """What the kernel that writes it says of its numbers."""


@dataclass(frozen=True, kw_only=True)
class Operand:
    """A buffer: its storage, and the type under which a kernel sees it."""

    storage: Storage
    dtype: DType
    shape: tuple[int, ...]

    def size_bytes(self, n_tokens: int) -> int:
        """Bytes of the buffer when a call has this many rows."""
        return self.dtype.size_bytes * math.prod(
            n_tokens if dim == N_TOKENS else dim for dim in self.shape
        )


@dataclass(frozen=True, kw_only=True)
class FlatStep:
    """One call; ``kernel`` is None for code that Relax generated."""

    symbol: str
    kernel: Kernel | None
    function: tvm.tirx.PrimFunc
    """What is called."""
    operands: tuple[Operand, ...]
    label: str

    @property
    def has_state(self) -> bool:
        """Whether it reads or writes KV caches, so that their type is in its code."""
        return any(operand.storage.origin == "state" for operand in self.operands)

    @property
    def cost(self) -> KernelCost:
        """What one call moves and computes; generated code is a copy of its operands."""
        return self.kernel.cost if self.kernel else _copy_cost(self.operands)

    @property
    def layer(self) -> int:
        """The layer that the label names, or -1."""
        match = _LAYER.search(self.label)
        return int(match[1]) if match else -1


def _copy_cost(operands: tuple[Operand, ...]) -> KernelCost:
    fixed = sum(each.size_bytes(1) for each in operands if N_TOKENS not in each.shape)
    per_token = sum(each.size_bytes(1) for each in operands if N_TOKENS in each.shape)
    return KernelCost(
        operation="generated",
        scheme=None,
        arithmetic="copy",
        bytes=Work(fixed=fixed, per_token=per_token),
        operations=Work(),
    )


@dataclass(frozen=True, kw_only=True)
class FlatSegment:
    """A segment as calls on buffers that have no offsets yet."""

    name: SegmentName
    max_tokens: int
    steps: tuple[FlatStep, ...]
    inputs: dict[str, Operand]
    outputs: dict[str, Operand]
    generated: dict[str, tvm.tirx.PrimFunc]
    """Relax's functions, by the symbol that the steps call."""


def flatten(segment: RelaxSegment, module: tvm.IRModule, kernels: dict[str, Kernel]) -> FlatSegment:
    """Walk a segment's function.

    Args:
        segment: The segment as it was built.
        module: Its module after the passes.
        kernels: Our kernels, by symbol.

    Raises:
        LoweringError: A binding is not a call, a tuple or a reshape.
    """
    walk = _Walk(segment, module, kernels)
    for parameter in segment.parameters:
        storage = Storage(name=parameter.name, origin=parameter.origin)
        walk.bind_parameter(parameter.name, storage)
    sequence = module["main"].body
    for block in sequence.blocks:
        for binding in block.bindings:
            walk.visit(binding.var, binding.value)
    return FlatSegment(
        name=segment.name,
        max_tokens=segment.max_tokens,
        steps=tuple(walk.steps),
        inputs={
            parameter.name: walk.parameters[parameter.name]
            for parameter in segment.parameters
            if parameter.origin == "input"
        },
        outputs=dict(zip(segment.outputs, walk.tuples[sequence.body], strict=True)),
        generated=walk.generated,
    )


@dataclass
class _Walk:
    segment: RelaxSegment
    module: tvm.IRModule
    kernels: dict[str, Kernel]
    operands: dict[relax.Expr, Operand] = field(default_factory=dict)
    parameters: dict[str, Operand] = field(default_factory=dict)
    tuples: dict[relax.Expr, list[Operand]] = field(default_factory=dict)
    steps: list[FlatStep] = field(default_factory=list)
    generated: dict[str, tvm.tirx.PrimFunc] = field(default_factory=dict)

    def bind_parameter(self, name: str, storage: Storage) -> None:
        index = [parameter.name for parameter in self.segment.parameters].index(name)
        variable = self.module["main"].params[index]
        self.operands[variable] = self.parameters[name] = _operand(storage, variable.ty)

    def visit(self, variable: relax.Var, value: relax.Expr) -> None:
        if isinstance(value, relax.Tuple):
            self.tuples[variable] = [self.operands[item] for item in value.fields]
        elif isinstance(value, relax.TupleGetItem):
            self.operands[variable] = self.tuples[value.tuple_value][value.index]
        elif isinstance(value, relax.Var):
            self._alias(variable, value)
        elif isinstance(value, relax.Call) and value.op.name == "relax.reshape":
            source = self.operands[value.args[0]]
            self.operands[variable] = _operand(source.storage, variable.ty)
        elif isinstance(value, relax.Call) and value.op.name.startswith("relax.call_tir"):
            self._call(variable, value)
        else:
            raise LoweringError(
                f"Relax left {value} in segment {self.segment.name}, which is no call."
            )

    def _alias(self, variable: relax.Var, value: relax.Var) -> None:
        if value in self.tuples:
            self.tuples[variable] = self.tuples[value]
        else:
            self.operands[variable] = self.operands[value]

    def _call(self, variable: relax.Var, call: relax.Call) -> None:
        name = call.args[0].name_hint
        kernel = self.kernels.get(name)
        symbol = name if kernel else self._generated_symbol(name)
        arguments = [self.operands[arg] for arg in call.args[1].fields if arg in self.operands]
        scalars = len(call.args[1].fields) - len(arguments)
        is_tuple = isinstance(variable.ty, relax.TupleType)
        types = list(variable.ty.fields) if is_tuple else [variable.ty]
        in_place = [-1] * len(types)
        if call.op.name == "relax.call_tir_inplace":
            in_place = [int(index) for index in call.attrs.inplace_indices]
        roles = iter(kernel.roles[len(arguments) :] if kernel else itertools.repeat(Role.OTHER))
        created: list[Operand] = []
        results: list[Operand] = []
        for index, type_ in zip(in_place, types, strict=True):
            if index < 0:
                name = f"{len(self.steps)}.{len(created)}"
                storage = Storage(name=name, origin=None, role=next(roles))
                created.append(_operand(storage, type_))
            results.append(arguments[index - scalars] if index >= 0 else created[-1])
        self.steps.append(
            FlatStep(
                symbol=symbol,
                kernel=kernel,
                function=kernel.func if kernel else self.generated[symbol],
                operands=(*arguments, *created),
                label=self._label(variable, symbol),
            )
        )
        if is_tuple:
            self.tuples[variable] = results
        else:
            self.operands[variable] = results[0]

    def _generated_symbol(self, name: str) -> str:
        symbol = f"{self.segment.name}{self.segment.max_tokens}_{name}"
        self.generated[symbol] = self.module[name]
        return symbol

    def _label(self, variable: relax.Var, symbol: str) -> str:
        hint = _HINT.match(variable.name)
        return self.segment.labels.get(hint[0], symbol) if hint else symbol


def _operand(storage: Storage, type_: relax.TensorType) -> Operand:
    shape = tuple(int(dim) if isinstance(dim, tvm.tirx.IntImm) else N_TOKENS for dim in type_.shape)
    return Operand(storage=storage, dtype=PLAN_DTYPES[str(type_.dtype)], shape=shape)
