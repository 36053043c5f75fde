"""RMS normalization, alone or with the residual sum before it."""

from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.choice import KernelTable
from ossc.compiler.lowering.segment import Expr, SegmentBuilder
from ossc.compiler.lowering.standard import operand


def lower_rms_norm(kernels: KernelTable, segment: SegmentBuilder, call: Call) -> None:
    """Translate ``RmsNorm``."""
    (normed,) = _call(kernels, segment, call, ["x"])
    segment.values[call.node.outputs[0]] = normed


def lower_add_rms_norm(kernels: KernelTable, segment: SegmentBuilder, call: Call) -> None:
    """Translate ``AddRmsNorm``; both outputs stay."""
    normed, total = _call(kernels, segment, call, ["x", "residual"])
    segment.values[call.node.outputs[0]] = normed
    segment.values[call.node.outputs[1]] = total


def _call(
    kernels: KernelTable, segment: SegmentBuilder, call: Call, terms: list[str]
) -> list[Expr]:
    scale = segment.float_parameter(call.input("weight"))
    kernel = kernels.kernel(
        segment,
        call.operation.name,
        hidden=int(scale.ty.shape[0]),
        epsilon=call.number("epsilon"),
        add=len(terms) == 2,
        n=segment.static_rows,
    )
    values = [operand(segment, call.input(term)) for term in terms]
    return segment.call(kernel, [*values, scale], call.name)
