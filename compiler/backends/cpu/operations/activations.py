"""The form in which activations enter a product with weights: float32, or integers with scales."""

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.weights import activation_of, find_formats
from ossc.compiler.lowering.kernel import TERMS
from ossc.compiler.lowering.segment import Expr, SegmentBuilder
from ossc.compiler.quantization.plan import Activations


def activation_type(segment: SegmentBuilder, scheme: str) -> Activations:
    """Return the plan's type; weights without integer codes always meet float32.

    Of several schemes (``bf16+mxfp4``) it is what those with codes meet.
    """
    types = {activation_of(each, segment.options.activations) for each in find_formats(scheme)}
    return max(types, key=lambda each: each != "f32")


def activation_operands(segment: SegmentBuilder, x: Expr, scheme: str, label: str) -> list[Expr]:
    """Return the buffers that stand for ``x`` in a product with weights of this scheme.

    Args:
        segment: The segment; an ``x`` that several products read is quantized once.
        x: Activations ``[n, K]`` or ``[n, r, K]``.
        scheme: The weight's scheme, or those of its experts.
        label: The node that needs them.

    Returns:
        ``[x]``, or codes, scales and sums; or these and then x, where some weights have no codes.
    """
    activation = activation_type(segment, scheme)
    floats = [x] if any(not each.integer_sums for each in find_formats(scheme)) else []
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
    codes = segment.once(("quantize", x), lambda: segment.call(kernel, [x], f"{label}/quantize"))
    return [*codes, *floats]
