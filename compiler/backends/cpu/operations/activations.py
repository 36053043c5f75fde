"""The form in which activations enter a product with weights: float32, or integers with scales."""

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.lowering.kernel import TERMS
from ossc.compiler.lowering.segment import Expr, SegmentBuilder
from ossc.compiler.quantization.plan import Activations


def activation_type(segment: SegmentBuilder, scheme: str) -> Activations:
    """Return the plan's type; weights without integer codes always meet float32."""
    return segment.options.activations if find_format(scheme).integer_sums else "f32"


def activation_operands(segment: SegmentBuilder, x: Expr, scheme: str, label: str) -> list[Expr]:
    """Return the buffers that stand for ``x`` in a product with weights of this scheme.

    Args:
        segment: The segment; an ``x`` that several products read is quantized once.
        x: Activations ``[n, K]`` or ``[n, r, K]``.
        scheme: The weight's scheme.
        label: The node that needs them.

    Returns:
        ``[x]``, or codes, scales and sums.
    """
    activation = activation_type(segment, scheme)
    if activation == "f32":
        return [x]
    *slots, columns = (int(dim) for dim in list(x.ty.shape)[1:])
    kernel = KERNELS.kernel(
        segment,
        "QuantizeActivations",
        columns=columns,
        rows_per_token=slots[0] if slots else None,
        terms=TERMS[activation],
        n=segment.static_rows,
    )
    return segment.once(("quantize", x), lambda: segment.call(kernel, [x], f"{label}/quantize"))
