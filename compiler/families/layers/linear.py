"""Products with dense matrices, and normalization, in standard operators."""

import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder


def widen(b: GraphBuilder, weight: str) -> ir.Value:
    """Write the cast of a tensor of the checkpoint to float32."""
    return b.op("Cast", b.weight(weight), to=ir.DataType.FLOAT)


def linear(b: GraphBuilder, x: ir.Value, weight: str, bias: str | None = None) -> ir.Value:
    """Write ``x @ weight.T + bias``.

    Args:
        b: Where to write.
        x: ``[T, K]``.
        weight: Name of ``[N, K]`` in the checkpoint.
        bias: Name of ``[N]``, if there is one.

    Returns:
        ``[T, N]``.
    """
    product = b.op("MatMul", x, b.op("Transpose", widen(b, weight), perm=[1, 0]))
    return product if bias is None else b.op("Add", product, widen(b, bias))


def rms_norm(b: GraphBuilder, x: ir.Value, weight: str, epsilon: float) -> ir.Value:
    """Write the RMS normalization of the last axis.

    Args:
        b: Where to write.
        x: ``[T, H]``.
        weight: Name of ``[H]`` in the checkpoint.
        epsilon: Added to the mean square.

    Returns:
        ``[T, H]``.
    """
    return b.op("RMSNormalization", x, widen(b, weight), epsilon=epsilon)
