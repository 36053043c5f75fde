"""Building one segment of a plan as a Relax function.

A segment is a part of the model for a number of rows (tokens): exactly one, or any up to a chunk.
Its Relax function takes inputs, state (the KV caches, updated in place), packed weights, and the
range of tasks that a CPU's kernels work on; weights and state become parameters when they are first
used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec

import onnx_ir as ir
import tvm
from tvm import relax

from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.launch import Tasks
from ossc.compiler.lowering.library import KernelLibrary
from ossc.compiler.lowering.weights import PackedWeight, float_weight
from ossc.compiler.quantization.plan import Activations
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.plan import SegmentName
from ossc.targets import Target
from ossc.targets.errors import LoweringError

Expr = Any
"""A Relax expression; TVM has no annotations to offer."""

P = ParamSpec("P")

Origin = Literal["input", "state", "weight"]
"""Where the bytes of a parameter come from."""

OPAQUE_PATTERN = 8
"""TVM's OpPatternKind.kOpaque: Relax must not fuse a kernel of ours with its neighbours."""


@dataclass(frozen=True, kw_only=True)
class LoweringOptions:
    """What every segment of a model is lowered for."""

    target: Target
    activations: Activations
    """The type in which activations meet quantized weights."""

    context: int
    """Positions that the KV caches of full attention hold."""

    prefill_chunk: int
    """Rows of the largest segment; sliding caches leave room for a whole chunk."""

    kv: KvType = "f32"
    """The type of the KV caches."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of the Relax function, and what it stands for outside."""

    name: str
    origin: Origin
    var: relax.Var
    positions: int | None = None
    """How many a KV cache that holds the whole context has room for; None for all others."""


@dataclass(frozen=True, kw_only=True)
class RelaxSegment:
    """A segment as Relax: ``module["main"]`` returns ``outputs`` in order, as one tuple."""

    name: SegmentName
    max_tokens: int
    module: tvm.IRModule
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    labels: dict[str, str]
    """The name hint of a binding → the ONNX node that it comes from."""


@dataclass
class SegmentBuilder:
    """Collects the bindings, parameters and kernels of one segment."""

    name: SegmentName
    max_tokens: int
    options: LoweringOptions
    weights: dict[str, PackedWeight]
    library: KernelLibrary
    values: dict[ir.Value | None, Expr] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.builder = relax.BlockBuilder()
        self.rows = 1 if self.max_tokens == 1 else tvm.tirx.Var("n", "int64")
        self._begin = tvm.tirx.Var("begin", "int32")
        self._end = tvm.tirx.Var("end", "int32")
        self._parameters: dict[str, Parameter] = {}
        self._cache: dict[tuple[object, ...], list[Expr]] = {}
        self._functions: dict[str, tvm.ir.GlobalVar] = {}

    @property
    def static_rows(self) -> int | None:
        """The kernels' ``n``: 1 for one token, None where the call says how many."""
        return 1 if self.max_tokens == 1 else None

    def run(self, translate: Callable[[], dict[str, Expr]]) -> RelaxSegment:
        """Build the function from what ``translate`` emits; it returns the outputs by name."""
        with self.builder.function("main"):
            with self.builder.dataflow():
                outputs = translate()
                result = self.builder.emit_output(relax.Tuple(list(outputs.values())))
            variables = [parameter.var for parameter in self._parameters.values()]
            self.builder.emit_func_output(result, [*variables, self._begin, self._end])
        return RelaxSegment(
            name=self.name,
            max_tokens=self.max_tokens,
            module=self.builder.get(),
            parameters=tuple(self._parameters.values()),
            outputs=tuple(outputs),
            labels=self.labels,
        )

    def parameter(
        self,
        name: str,
        origin: Origin,
        shape: Sequence[int | Expr],
        dtype: str,
        positions: int | None = None,
    ) -> relax.Var:
        """Return the parameter of this name, added when it is first asked for."""
        if name not in self._parameters:
            variable = relax.Var(f"p{len(self._parameters)}", relax.TensorType(shape, dtype))
            self._parameters[name] = Parameter(
                name=name, origin=origin, var=variable, positions=positions
            )
        return self._parameters[name].var

    def weight(self, packed: PackedWeight, shape: Sequence[int], dtype: str) -> relax.Var:
        """Return the parameter that holds a packed weight."""
        self.weights.setdefault(packed.name, packed)
        return self.parameter(packed.name, "weight", shape, dtype)

    def packed_parameter(self, packed: PackedWeight) -> relax.Var:
        """Return the parameter that holds a packed matrix, as bytes."""
        return self.weight(packed, [packed.size_bytes], "uint8")

    def float_parameter(self, value: ir.Value | None) -> Expr:
        """Return a small float tensor (a bias, a norm's weight) as float32 ``[...]``.

        Raises:
            LoweringError: The value is neither computed nor an initializer.
        """
        if value in self.values:
            return self.values[value]
        tensor = initializer(value)
        packed = float_weight(tensor, f"{tensor.name}")
        return self.weight(packed, tensor.shape.numpy(), "float32")

    def kernel(self, build: Callable[P, Kernel], *args: P.args, **parameters: P.kwargs) -> Kernel:
        """Return what ``build`` makes of these parameters, built once for the whole model."""
        return self.library.get(build, *args, **parameters)

    def call(
        self, kernel: Kernel, arguments: Sequence[Expr], label: str, in_place: Sequence[int] = ()
    ) -> list[Expr]:
        """Emit a kernel's call.

        Args:
            kernel: What to call.
            arguments: The buffers that exist already, in the order of the kernel's parameters.
            label: The ONNX node that the call comes from.
            in_place: Indices into ``arguments`` of the buffers that the kernel updates.

        Returns:
            The updated buffers, then the new ones: the kernel's remaining parameters.
        """
        function = self._function(kernel)
        updated = [arguments[index].ty for index in in_place]
        created = [
            self._tensor_type(type_) for type_ in buffer_types(kernel.func)[len(arguments) :]
        ]
        types = [*updated, *created]
        scalars = [self._begin, self._end] if isinstance(kernel.launch, Tasks) else []
        if in_place:
            indices = [index + len(scalars) for index in in_place] + [-1] * len(created)
            call = relax.op.call_tir_inplace(function, [*scalars, *arguments], indices, types)
        else:
            call = relax.op.call_tir(function, [*scalars, *arguments], types)
        result = self.emit(call, label)
        if len(types) == 1:
            return [result]
        return [self.builder.emit(relax.TupleGetItem(result, i)) for i in range(len(types))]

    def _function(self, kernel: Kernel) -> tvm.ir.GlobalVar:
        if kernel.name not in self._functions:
            function = scalars_first(kernel.func)
            self._functions[kernel.name] = self.builder.add_func(function, kernel.name)
        return self._functions[kernel.name]

    def emit(self, expression: Expr, label: str) -> Expr:
        """Bind an expression under a name that leads back to its ONNX node."""
        hint = f"op{len(self.labels)}_"
        self.labels[hint] = label
        return self.builder.emit(expression, name_hint=hint)

    def once(self, key: tuple[object, ...], make: Callable[[], list[Expr]]) -> list[Expr]:
        """Return what ``make`` emitted when this key was first seen."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def _tensor_type(self, type_: tvm.tirx.BufferType) -> relax.TensorType:
        shape = [int(dim) if isinstance(dim, tvm.tirx.IntImm) else self.rows for dim in type_.shape]
        return relax.TensorType(shape, type_.dtype)


def initializer(value: ir.Value | None) -> ir.TensorProtocol:
    """Return the tensor of an initializer.

    Raises:
        LoweringError: The value is absent, or computed at run time.
    """
    tensor = value.const_value if value is not None else None
    if tensor is None:
        name = value.name if value is not None else "(absent)"
        raise LoweringError(f"The input {name!r} of a node must be an initializer; it is not.")
    return tensor


def buffer_types(function: tvm.tirx.PrimFunc) -> list[tvm.tirx.BufferType]:
    """Return the types of a function's buffer parameters, in order."""
    types = [parameter.ty for parameter in function.params]
    return [type_ for type_ in types if isinstance(type_, tvm.tirx.buffer.BufferType)]


def scalars_first(function: tvm.tirx.PrimFunc) -> tvm.tirx.PrimFunc:
    """Reorder the parameters as call_tir wants them: the scalars, inputs and then outputs."""
    buffers = [p for p in function.params if isinstance(p.ty, tvm.tirx.buffer.BufferType)]
    scalars = [p for p in function.params if not isinstance(p.ty, tvm.tirx.buffer.BufferType)]
    reordered = tvm.tirx.PrimFunc(
        [*scalars, *buffers], function.body, function.ret_type, attrs=function.attrs
    )
    return reordered.with_attr("op_pattern", OPAQUE_PATTERN)
