"""RMS normalization, alone (ONNX ``RMSNormalization``) or with the residual sum before it."""

import onnx_ir as ir

from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.segment import Expr, SegmentBuilder
from ossc.compiler.lowering.standard import operand


def lower_rms_norm(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``RMSNormalization(x, weight)``."""
    x, weight = node.inputs
    (normed,) = _call(segment, node, [operand(segment, x)], weight)
    segment.values[node.outputs[0]] = normed


def lower_add_rms_norm(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``AddRmsNorm(x, residual, weight)``; both outputs stay."""
    x, residual, weight = node.inputs
    terms = [operand(segment, x), operand(segment, residual)]
    normed, total = _call(segment, node, terms, weight)
    segment.values[node.outputs[0]] = normed
    segment.values[node.outputs[1]] = total


def _call(
    segment: SegmentBuilder, node: ir.Node, terms: list[Expr], weight: ir.Value | None
) -> list[Expr]:
    scale = segment.float_parameter(weight)
    kernel = segment.kernel(
        rms_norm,
        hidden=int(scale.ty.shape[0]),
        epsilon=node.attributes["epsilon"].as_float(),
        add=len(terms) == 2,
        n=segment.static_rows,
    )
    return segment.call(kernel, [*terms, scale], node.name or "")
