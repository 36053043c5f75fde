"""The lowering, read from top to bottom."""

import math
from dataclasses import dataclass

import onnx_ir as ir
import tvm

from ossc.compiler.lowering.flatten import FlatSegment, flatten
from ossc.compiler.lowering.importer import import_segments
from ossc.compiler.lowering.kernels.kernel import Kernel
from ossc.compiler.lowering.pipeline import legalize_and_fuse
from ossc.compiler.lowering.plan import make_plan
from ossc.compiler.lowering.segment import LoweringOptions, RelaxSegment
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.kernel_cost import KernelCost
from ossc.runtimes.plan import Plan

FLOAT_BYTES = 4
"""KV caches hold float32."""


@dataclass(frozen=True, kw_only=True)
class LoweredModel:
    """A model that needs only code generation and its weights packed."""

    plan: Plan
    weights: dict[str, PackedWeight]
    """In the order of ``weights.bin``."""
    kernels: dict[str, Kernel]
    """Ours, by symbol."""
    generated: dict[str, tvm.tirx.PrimFunc]
    """Relax's, by symbol."""
    costs: dict[str, KernelCost]
    """What a call of each function moves and computes, by symbol."""
    kv_bytes: int
    """KV caches of one session, at the full context."""


def lower_model(model: ir.Model, options: LoweringOptions) -> LoweredModel:
    """Lower a fused and quantized model; no weight is read.

    Raises:
        LoweringError: The graph has a node without a lowering.
    """
    # ONNX → Relax, one function a segment
    segments, weights, kernels = import_segments(model, options)

    # Relax → TIR calls, the generated ones fused
    flat = [_flatten(segment, kernels, options) for segment in segments]

    # calls → steps on buffers with offsets
    plan = make_plan(flat, weights, context=options.context, vocab_size=_vocab_size(model.graph))
    generated = {name: func for segment in flat for name, func in segment.generated.items()}
    return LoweredModel(
        plan=plan,
        weights=weights,
        kernels=kernels,
        generated=generated,
        costs={step.symbol: step.cost for segment in flat for step in segment.steps},
        kv_bytes=_state_bytes(segments),
    )


def _vocab_size(graph: ir.Graph) -> int:
    shape = graph.outputs[0].shape
    assert shape is not None
    return int(str(shape[-1]))


def _state_bytes(segments: list[RelaxSegment]) -> int:
    caches = {
        parameter.name: math.prod(int(dim) for dim in parameter.var.ty.shape)
        for segment in segments
        for parameter in segment.parameters
        if parameter.role == "state"
    }
    return sum(caches.values()) * FLOAT_BYTES


def _flatten(
    segment: RelaxSegment, kernels: dict[str, Kernel], options: LoweringOptions
) -> FlatSegment:
    module = legalize_and_fuse(segment.module, options.target)
    return flatten(segment, module, kernels)
