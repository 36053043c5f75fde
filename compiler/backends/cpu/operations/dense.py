"""Products of activations with one matrix, and the embedding's lookup."""

import onnx_ir as ir

from ossc.compiler.backends.cpu.kernels.embedding import embedding
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.operations.activations import activation_operands, activation_type
from ossc.compiler.backends.cpu.packed import embedding_weight, matrix_weight
from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.lowering.standard import operand
from ossc.compiler.quantization import find_scheme


def lower_embedding(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``Embedding(ids, parts…)``."""
    ids, *parts = node.inputs
    packed = embedding_weight(find_scheme(scheme), [initializer(part) for part in parts])
    vocab_size, hidden_size = packed.shape
    kernel = segment.kernel(
        embedding, scheme=scheme, vocab=vocab_size, hidden=hidden_size, n=segment.static_rows
    )
    arguments = [operand(segment, ids), segment.packed_parameter(packed)]
    (segment.values[node.outputs[0]],) = segment.call(kernel, arguments, node.name or "")


def lower_linear(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``Linear(x, parts…, bias)``."""
    x, *parts, bias = node.inputs
    result = product(
        segment,
        operand(segment, x),
        scheme,
        [initializer(part) for part in parts],
        bias=segment.float_parameter(bias),
        label=node.name or "",
    )
    segment.values[node.outputs[0]] = result


def lower_mat_mul(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``MatMul(x, parts…)``."""
    x, *parts = node.inputs
    tensors = [initializer(part) for part in parts]
    result = product(
        segment, operand(segment, x), scheme, tensors, bias=None, label=node.name or ""
    )
    segment.values[node.outputs[0]] = result


def product(
    segment: SegmentBuilder,
    x: Expr,
    scheme: str,
    parts: list[ir.TensorProtocol],
    *,
    bias: Expr | None,
    label: str,
) -> Expr:
    """Emit ``x @ weight.T (+ bias)``.

    Args:
        segment: The segment.
        x: Activations ``[n, K]``.
        scheme: The weight's scheme.
        parts: The weight ``[N, K]``, in the scheme's parts.
        bias: ``[N]`` float32.
        label: The node that it comes from.

    Returns:
        ``[n, N]`` float32.
    """
    packed = matrix_weight(find_scheme(scheme), parts)
    rows, columns = packed.shape
    kernel = segment.kernel(
        linear,
        scheme=scheme,
        activation=activation_type(segment, scheme),
        rows=rows,
        columns=columns,
        bias=bias is not None,
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    arguments = [
        *activation_operands(segment, x, scheme, label),
        segment.packed_parameter(packed),
        *([bias] if bias is not None else []),
    ]
    (result,) = segment.call(kernel, arguments, label)
    return result
