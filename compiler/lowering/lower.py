"""The lowering, read from top to bottom."""

import math
from collections import Counter
from dataclasses import dataclass, replace

import onnx_ir as ir
import tvm
from tvm import relax

from ossc.compiler.lowering.calls import HOST_CALLS, Calls
from ossc.compiler.lowering.flatten import FlatSegment, flatten
from ossc.compiler.lowering.importer import OperationTable, import_segments
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.legalize import legalize_and_fuse
from ossc.compiler.lowering.library import KernelLibrary
from ossc.compiler.lowering.plan import make_plan
from ossc.compiler.lowering.segment import LoweringOptions, Parameter, RelaxSegment
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.kernel_cost import KernelCost
from ossc.runtimes.kv_type import KV_TYPES, KvType
from ossc.runtimes.plan import Plan


@dataclass(frozen=True, kw_only=True)
class LoweredModel:
    """A model that needs only code generation and its weights packed."""

    plans: dict[KvType, Plan]
    """For each type of KV caches; they share the weights."""
    default_kv: KvType
    """The type where a session is not asked for another."""
    weights: dict[str, PackedWeight]
    """In the order of ``weights.bin``."""
    kernels: dict[str, Kernel]
    """Ours, by symbol."""
    generated: dict[str, tvm.tirx.PrimFunc]
    """Relax's, by symbol."""
    code: dict[str, str]
    """Text of the code files that the plans name, by file."""
    costs: dict[str, KernelCost]
    """What a call of each function moves and computes, by the name in the plan."""
    kv_bytes: dict[KvType, int]
    """KV caches of one session, at the full context."""
    kv_bytes_per_token: dict[KvType, int]
    """By how much each position of the context makes them larger."""

    @property
    def plan(self) -> Plan:
        """The plan for the default type of KV caches."""
        return self.plans[self.default_kv]


def lower_model(
    model: ir.Model,
    options: LoweringOptions,
    operations: OperationTable,
    calls: Calls = HOST_CALLS,
) -> LoweredModel:
    """Lower a fused and quantized model for every type of KV caches; no weight is read.

    Args:
        model: The model.
        options: What for; its type of KV caches becomes the default.
        operations: What the backend has kernels for.
        calls: How its device is told what to run.

    Raises:
        LoweringError: The graph has a node without a lowering.
    """
    library = KernelLibrary()
    parts = {
        kv: _lower(model, replace(options, kv=kv), operations, calls, library) for kv in KV_TYPES
    }
    default = parts[options.kv]
    for part in parts.values():
        assert list(part.weights) == list(default.weights), "plans disagree on weights.bin"
    return LoweredModel(
        plans={kv: part.plan for kv, part in parts.items()},
        default_kv=options.kv,
        weights=default.weights,
        kernels=library.kernels,
        generated={name: f for part in parts.values() for name, f in part.generated.items()},
        code=calls.code(),
        costs={name: cost for part in parts.values() for name, cost in part.costs.items()},
        kv_bytes={kv: part.kv_bytes for kv, part in parts.items()},
        kv_bytes_per_token={kv: part.kv_bytes_per_token for kv, part in parts.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _Lowered:
    """A model lowered for one type of KV caches; see `LoweredModel`."""

    plan: Plan
    weights: dict[str, PackedWeight]
    generated: dict[str, tvm.tirx.PrimFunc]
    costs: dict[str, KernelCost]
    kv_bytes: int
    kv_bytes_per_token: int


def _lower(
    model: ir.Model,
    options: LoweringOptions,
    operations: OperationTable,
    calls: Calls,
    library: KernelLibrary,
) -> _Lowered:
    # ONNX → Relax, one function a segment
    segments, weights = import_segments(model, options, operations, library)

    # Relax → TIR calls, the generated ones fused
    flat = [_flatten(segment, library, options, calls) for segment in segments]

    # calls → steps on buffers with offsets
    plan = make_plan(
        flat,
        weights,
        target=options.target,
        calls=calls,
        kv=options.kv,
        context=options.context,
        vocab_size=_vocab_size(model.graph),
    )
    generated = {name: func for segment in flat for name, func in segment.generated.items()}
    caches = _caches(segments)
    return _Lowered(
        plan=plan,
        weights=weights,
        generated=generated,
        costs={step.symbol: step.cost for segment in flat for step in segment.steps},
        kv_bytes=sum(_size_bytes(cache.var.ty) for cache in caches),
        kv_bytes_per_token=_growth_bytes(caches),
    )


def _vocab_size(graph: ir.Graph) -> int:
    shape = graph.outputs[0].shape
    assert shape is not None
    return int(str(shape[-1]))


def _caches(segments: list[RelaxSegment]) -> list[Parameter]:
    """Return the KV caches, each once."""
    caches = {
        parameter.name: parameter
        for segment in segments
        for parameter in segment.parameters
        if parameter.origin == "state"
    }
    return list(caches.values())


def _growth_bytes(caches: list[Parameter]) -> int:
    """Return what one position takes in the caches that hold the whole context."""
    sizes: Counter[int] = Counter()  # by capacity: a cache may hold whole bytes of several only
    for cache in caches:
        if cache.positions is not None:
            sizes[cache.positions] += _size_bytes(cache.var.ty)
    return sum(size_bytes // positions for positions, size_bytes in sizes.items())


def _size_bytes(type_: relax.TensorType) -> int:
    element_bytes: int = tvm.DataType(type_.dtype).itemsize
    return math.prod(int(dim) for dim in type_.shape) * element_bytes


def _flatten(
    segment: RelaxSegment, library: KernelLibrary, options: LoweringOptions, calls: Calls
) -> FlatSegment:
    module = calls.schedule(legalize_and_fuse(segment.module, options.target))
    return flatten(segment, module, library.kernels)
