"""The weighted sum of what a token's experts returned."""

from ossc.compiler.backends.gpu.kernel_table import KERNELS
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.segment import SegmentBuilder
from ossc.compiler.lowering.standard import operand


def lower_combine_experts(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``CombineExperts``."""
    y, weights = operand(segment, call.input("x")), operand(segment, call.input("weights"))
    _, k, hidden = y.ty.shape
    kernel = KERNELS.kernel(
        segment, "CombineExperts", hidden=int(hidden), k=int(k), n=segment.static_rows
    )
    (segment.values[call.node.outputs[0]],) = segment.call(kernel, [y, weights], call.name)
