"""The mixture of experts: the experts' two products.

One token calls its experts directly. A chunk first groups its (token, slot) pairs by expert, so
that an expert's weights are read once for all tokens that chose it.
"""

from collections.abc import Callable

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.operations.activations import activation_operands, activation_type
from ossc.compiler.backends.cpu.packed_experts import (
    HeldExperts,
    PackedExperts,
    expert_glu_weight,
    expert_weight,
    held_experts,
)
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.call_weights import (
    bias_operands,
    experts_type_of,
    glu_of,
    weight_tensors,
)
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.operations.experts import chosen_pairs, require_fused
from ossc.compiler.lowering.segment import SegmentBuilder
from ossc.compiler.lowering.standard import operand


def lower_expert_glu(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``ExpertGlu``."""
    product = _ExpertProduct(segment, call, expert_glu_weight)
    experts, rows, columns = product.packed.shape
    kernel = KERNELS.kernel(
        segment,
        "ExpertGlu",
        scheme=product.scheme,
        activation=activation_type(segment, product.scheme),
        experts=experts,
        counts=product.counts,
        intermediate=rows // 2,
        hidden=columns,
        k=product.k,
        glu=glu_of(call),
        bias="bias" in call.options,
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    product.call(kernel)


def lower_expert_linear(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``ExpertLinear``.

    Raises:
        LoweringError: Its weight is transposed, or its experts share a vector.
    """
    require_fused(call)
    product = _ExpertProduct(segment, call, expert_weight)
    experts, rows, columns = product.packed.shape
    kernel = KERNELS.kernel(
        segment,
        "ExpertLinear",
        scheme=product.scheme,
        activation=activation_type(segment, product.scheme),
        experts=experts,
        counts=product.counts,
        hidden=rows,
        intermediate=columns,
        k=product.k,
        bias="bias" in call.options,
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    product.call(kernel)


class _ExpertProduct:
    """What the two products share: activations, routing, packed weight and bias."""

    def __init__(
        self,
        segment: SegmentBuilder,
        call: Call,
        pack: Callable[[HeldExperts], PackedExperts],
    ) -> None:
        self._segment, self._call = segment, call
        weight = experts_type_of(call)
        held = held_experts(weight, weight_tensors(call))
        self.scheme, self.counts = weight.name, held.counts
        self._routing = operand(segment, call.input("indices"))
        self.packed = pack(held)
        self.k = int(self._routing.ty.shape[1])

    def call(self, kernel: Kernel) -> None:
        """Emit the kernel's call as the node's value."""
        segment, label = self._segment, self._call.name
        x = operand(segment, self._call.input("x"))
        arguments = [
            *activation_operands(segment, x, self.scheme, label),
            *chosen_pairs(KERNELS, segment, self._routing, self.packed.shape[0], label),
            segment.weight(self.packed.table, self.packed.table_shape, "int64"),
            segment.packed_parameter(self.packed),
            *bias_operands(segment, self._call),
        ]
        (segment.values[self._call.node.outputs[0]],) = segment.call(kernel, arguments, label)
