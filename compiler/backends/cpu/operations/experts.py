"""The mixture of experts: routing, the experts' two products, and their weighted sum.

One token calls its experts directly. A chunk first groups its (token, slot) pairs by expert, so
that an expert's weights are read once for all tokens that chose it.
"""

from collections.abc import Callable

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.operations.activations import activation_operands, activation_type
from ossc.compiler.backends.cpu.operations.dense import product
from ossc.compiler.backends.cpu.packed_experts import (
    HeldExperts,
    PackedExperts,
    expert_glu_weight,
    expert_weight,
    held_experts,
)
from ossc.compiler.dialect.bodies.expert_product import SHARED, TRANSPOSED
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.call_weights import (
    bias_operands,
    experts_type_of,
    glu_of,
    weight_tensors,
)
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.lowering.standard import operand
from ossc.compiler.quantization import find_float_scheme
from ossc.targets.errors import LoweringError


def lower_router(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``Router``: float32 logits, then the k best and their softmax.

    Raises:
        LoweringError: Its weight is no float matrix.
    """
    stored = initializer(call.input("weight"))
    scheme = find_float_scheme(stored.dtype.numpy())
    if scheme is None:
        raise LoweringError(f"The router {call.name!r} is {stored.dtype}, but has to be floats.")
    logits = product(
        segment,
        operand(segment, call.input("x")),
        scheme,
        [stored],
        bias=bias_operands(segment, call),
        label=f"{call.name}/logits",
    )
    kernel = KERNELS.kernel(
        segment,
        "RouterTopK",
        experts=int(logits.ty.shape[1]),
        k=call.integer("k"),
        n=segment.static_rows,
    )
    indices, weights = segment.call(kernel, [logits], call.name)
    segment.values[call.node.outputs[0]] = indices
    segment.values[call.node.outputs[1]] = weights


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
    if TRANSPOSED in call.options:
        raise LoweringError(
            f"The experts {call.name!r} are transposed; apply TransposeExperts first."
        )
    if SHARED in call.options:
        raise LoweringError(
            f"The experts {call.name!r} of a token read one vector, for which there are kernels "
            "only with a gate after the product; apply FuseGlu first."
        )
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


def lower_combine_experts(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``CombineExperts``."""
    y, weights = operand(segment, call.input("x")), operand(segment, call.input("weights"))
    _, k, hidden = y.ty.shape
    kernel = KERNELS.kernel(
        segment, "CombineExperts", hidden=int(hidden), k=int(k), n=segment.static_rows
    )
    (segment.values[call.node.outputs[0]],) = segment.call(kernel, [y, weights], call.name)


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
            *self._groups(label),
            segment.weight(self.packed.table, self.packed.table_shape, "int64"),
            segment.packed_parameter(self.packed),
            *bias_operands(segment, self._call),
        ]
        (segment.values[self._call.node.outputs[0]],) = segment.call(kernel, arguments, label)

    def _groups(self, label: str) -> list[Expr]:
        """Return the choice itself for one token, and for a chunk what groups it by expert."""
        segment, routing = self._segment, self._routing
        if segment.static_rows == 1:
            return [routing]
        kernel = KERNELS.kernel(
            segment,
            "GroupByExpert",
            experts=self.packed.shape[0],
            k=self.k,
            n=segment.static_rows,
        )
        return segment.once(
            ("groups", routing), lambda: segment.call(kernel, [routing], f"{label}/group")
        )
