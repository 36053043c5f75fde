"""Products of activations with one matrix, and the embedding's lookup."""

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.operations.activations import activation_operands, activation_type
from ossc.compiler.backends.cpu.packed import (
    PackedMatrix,
    glu_weight,
    matrix_weight,
)
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.call_weights import (
    bias_operands,
    glu_of,
    scheme_of,
    weight_tensors,
)
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.segment import Expr, SegmentBuilder
from ossc.compiler.lowering.standard import operand
from ossc.compiler.lowering.weight_rows import Tensors
from ossc.compiler.quantization.scheme import QuantizationScheme


def lower_embedding(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``Embedding``."""
    scheme = scheme_of(call)
    packed = matrix_weight(scheme, weight_tensors(call))
    vocab_size, hidden_size = packed.shape
    kernel = KERNELS.kernel(
        segment,
        "Embedding",
        scheme=scheme.name,
        vocab=vocab_size,
        hidden=hidden_size,
        n=segment.static_rows,
    )
    arguments = [operand(segment, call.input("ids")), segment.packed_parameter(packed)]
    (segment.values[call.node.outputs[0]],) = segment.call(kernel, arguments, call.name)


def lower_linear(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``Linear``."""
    segment.values[call.node.outputs[0]] = product(
        segment,
        operand(segment, call.input("x")),
        scheme_of(call),
        weight_tensors(call),
        bias=bias_operands(segment, call),
        label=call.name,
    )


def lower_linear_glu(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``LinearGlu``."""
    scheme = scheme_of(call)
    packed = glu_weight(scheme, weight_tensors(call))
    rows, columns = packed.shape
    bias = bias_operands(segment, call)
    kernel = KERNELS.kernel(
        segment,
        "LinearGlu",
        scheme=scheme.name,
        activation=activation_type(segment, scheme.name),
        intermediate=rows // 2,
        hidden=columns,
        glu=glu_of(call),
        bias=bool(bias),
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    x = operand(segment, call.input("x"))
    result = _call(segment, kernel, packed, scheme, x, bias, call.name)
    segment.values[call.node.outputs[0]] = result


def product(
    segment: SegmentBuilder,
    x: Expr,
    scheme: QuantizationScheme,
    parts: Tensors,
    *,
    bias: list[Expr],
    label: str,
) -> Expr:
    """Emit ``x @ weight.T (+ bias)``.

    Args:
        segment: The segment.
        x: Activations ``[n, K]``.
        scheme: The weight's scheme.
        parts: The weight ``[N, K]``, in the scheme's parts.
        bias: ``[N]`` float32, or nothing.
        label: The node that it comes from.

    Returns:
        ``[n, N]`` float32.
    """
    packed = matrix_weight(scheme, parts)
    rows, columns = packed.shape
    kernel = KERNELS.kernel(
        segment,
        "Linear",
        scheme=scheme.name,
        activation=activation_type(segment, scheme.name),
        rows=rows,
        columns=columns,
        bias=bool(bias),
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    return _call(segment, kernel, packed, scheme, x, bias, label)


def _call(
    segment: SegmentBuilder,
    kernel: Kernel,
    packed: PackedMatrix,
    scheme: QuantizationScheme,
    x: Expr,
    bias: list[Expr],
    label: str,
) -> Expr:
    arguments = [
        *activation_operands(segment, x, scheme.name, label),
        segment.packed_parameter(packed),
        *bias,
    ]
    (result,) = segment.call(kernel, arguments, label)
    return result
