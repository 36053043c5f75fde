"""The mixture of experts around its products: who is chosen, by which tokens, and the sum."""

from typing import Protocol

from ossc.compiler.dialect.bodies.expert_product import SHARED, TRANSPOSED
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.call_weights import bias_operands
from ossc.compiler.lowering.choice import KernelTable
from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.lowering.standard import operand
from ossc.compiler.lowering.weight_rows import Tensors
from ossc.compiler.quantization import find_float_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme
from ossc.targets.errors import LoweringError


class Product(Protocol):
    """Emits ``x @ weight.T (+ bias)`` on a device."""

    def __call__(
        self,
        segment: SegmentBuilder,
        x: Expr,
        scheme: QuantizationScheme,
        parts: Tensors,
        *,
        bias: list[Expr],
        label: str,
    ) -> Expr:
        """Return ``[n, N]`` float32 of activations ``[n, K]``."""


def lower_router(
    kernels: KernelTable, product: Product, segment: SegmentBuilder, call: Call
) -> None:
    """Translate ``Router``: float32 logits, then the k best and their softmax.

    Args:
        kernels: The device's.
        product: The device's product with one matrix, which gives the logits.
        segment: Where the calls go.
        call: The node.

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
    kernel = kernels.kernel(
        segment,
        "RouterTopK",
        experts=int(logits.ty.shape[1]),
        k=call.integer("k"),
        n=segment.static_rows,
    )
    indices, weights = segment.call(kernel, [logits], call.name)
    segment.values[call.node.outputs[0]] = indices
    segment.values[call.node.outputs[1]] = weights


def lower_combine_experts(kernels: KernelTable, segment: SegmentBuilder, call: Call) -> None:
    """Translate ``CombineExperts``."""
    y, weights = operand(segment, call.input("x")), operand(segment, call.input("weights"))
    _, k, hidden = y.ty.shape
    kernel = kernels.kernel(
        segment, "CombineExperts", hidden=int(hidden), k=int(k), n=segment.static_rows
    )
    (segment.values[call.node.outputs[0]],) = segment.call(kernel, [y, weights], call.name)


def require_fused(call: Call) -> None:
    """Refuse a node of ``ExpertLinear`` that the passes have to rewrite first.

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


def chosen_pairs(
    kernels: KernelTable, segment: SegmentBuilder, routing: Expr, experts: int, label: str
) -> list[Expr]:
    """Return the choice itself for one token, and for a chunk what groups it by expert.

    Args:
        kernels: The device's.
        segment: A choice that several products read is grouped once.
        routing: int32 ``[n, k]``.
        experts: From which is chosen.
        label: The node that needs them.
    """
    if segment.static_rows == 1:
        return [routing]
    kernel = kernels.kernel(
        segment,
        "GroupByExpert",
        experts=experts,
        k=int(routing.ty.shape[1]),
        n=segment.static_rows,
    )
    return segment.once(
        ("groups", routing), lambda: segment.call(kernel, [routing], f"{label}/group")
    )
