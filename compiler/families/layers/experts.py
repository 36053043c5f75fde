"""A layer of experts: the router, and the products of the chosen experts, in standard operators.

T is the tokens, k the experts of a token, E all experts, H ``hidden_size``, and I
``intermediate_size``.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.layers.linear import linear

_TO_THE_END = np.iinfo(np.int64).max
"""As the end of a slice."""


class ExpertProduct(Protocol):
    """Multiplies each token's vector by the matrices of its experts."""

    def __call__(self, b: GraphBuilder, weight: str, x: ir.Value, indices: ir.Value) -> ir.Value:
        """Write the product.

        Args:
            b: Where to write.
            weight: Name of the matrices in the checkpoint, without the ending of its parts.
            x: ``[T, k, K]``, or ``[T, 1, K]`` where a token's experts read the same vector.
            indices: ``[T, k]`` int64.

        Returns:
            ``[T, k, N]``.
        """


@dataclass(frozen=True, kw_only=True)
class SwiGlu:
    """``(up + 1) * gate * sigmoid(alpha * gate)``, both clamped first."""

    alpha: float
    limit: float


def router(
    b: GraphBuilder, x: ir.Value, name: str, num_experts_per_tok: int
) -> tuple[ir.Value, ir.Value]:
    """Write the choice of experts.

    Args:
        b: Where to write.
        x: ``[T, H]``.
        name: The router's name in the checkpoint.
        num_experts_per_tok: k.

    Returns:
        indices ``[T, k]`` int64 and weights ``[T, k]``, which sum to 1.
    """
    logits = linear(b, x, f"{name}.weight", f"{name}.bias")
    k = b.integers(num_experts_per_tok)
    largest, indices = b.ops("TopK", logits, k, n_outputs=2, axis=-1, largest=1, sorted=1)
    return indices, b.op("Softmax", largest, axis=-1)


def mxfp4_product(b: GraphBuilder, weight: str, x: ir.Value, indices: ir.Value) -> ir.Value:
    """Write an :class:`ExpertProduct` of MXFP4 blocks ``[E, N, K/32, 16]``."""
    blocks = b.op("Gather", b.weight(f"{weight}_blocks"), indices, axis=0)
    scales = b.op("Gather", b.weight(f"{weight}_scales"), indices, axis=0)
    matrix = b.op("ossc.Mxfp4Dequantize", blocks, scales)  # [T, k, N, K]
    column = b.op("Unsqueeze", x, b.integers(-1))
    return b.op("Squeeze", b.op("MatMul", matrix, column), b.integers(-1))


def float_product(b: GraphBuilder, weight: str, x: ir.Value, indices: ir.Value) -> ir.Value:
    """Write an :class:`ExpertProduct` of matrices ``[E, K, N]`` of a float type."""
    gathered = b.op("Gather", b.weight(weight), indices, axis=0)  # [T, k, K, N]
    matrix = b.op("Cast", gathered, to=ir.DataType.FLOAT)
    row = b.op("Unsqueeze", x, b.integers(2))
    return b.op("Squeeze", b.op("MatMul", row, matrix), b.integers(2))


def experts(
    b: GraphBuilder,
    x: ir.Value,
    name: str,
    choice: tuple[ir.Value, ir.Value],
    product: ExpertProduct,
    activation: SwiGlu,
) -> ir.Value:
    """Write the chosen experts and the weighted sum of their results.

    Args:
        b: Where to write.
        x: ``[T, H]``.
        name: The experts' name in the checkpoint.
        choice: indices and weights of :func:`router`.
        product: How the matrices are stored.
        activation: Between the two products.

    Returns:
        ``[T, H]``.
    """
    indices, weights = choice
    one_for_all = b.op("Unsqueeze", x, b.integers(1))  # [T, 1, H]
    gate_up = product(b, f"{name}.gate_up_proj", one_for_all, indices)
    gate_up = _add_bias(b, gate_up, f"{name}.gate_up_proj_bias", indices)  # [T, k, 2 * I]
    activated = _swiglu(b, gate_up, activation)
    down = product(b, f"{name}.down_proj", activated, indices)
    down = _add_bias(b, down, f"{name}.down_proj_bias", indices)  # [T, k, H]
    weighted = b.op("Mul", down, b.op("Unsqueeze", weights, b.integers(-1)))
    return b.op("ReduceSum", weighted, b.integers(1), keepdims=0)


def _add_bias(b: GraphBuilder, x: ir.Value, bias: str, indices: ir.Value) -> ir.Value:
    gathered = b.op("Gather", b.weight(bias), indices, axis=0)
    return b.op("Add", x, b.op("Cast", gathered, to=ir.DataType.FLOAT))


def _swiglu(b: GraphBuilder, gate_up: ir.Value, activation: SwiGlu) -> ir.Value:
    """Write the activation of gates (even columns) and ups (odd columns): ``[T, k, I]``."""
    gate, up = (
        b.op(
            "Slice", gate_up, b.integers(first), b.integers(_TO_THE_END), b.integers(-1),
            b.integers(2),
        )
        for first in (0, 1)
    )  # fmt: skip
    limit, least = b.scalar(activation.limit), b.scalar(-activation.limit)
    swish = b.op("Swish", b.op("Min", gate, limit), alpha=activation.alpha)
    return b.op("Mul", b.op("Add", b.op("Clip", up, least, limit), b.scalar(1)), swish)
