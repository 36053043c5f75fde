"""Products of codes plus a bias: unsigned, as the instructions on bytes want them."""

from collections.abc import Iterable, Sequence

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import IntegerColumns
from ossc.compiler.lowering.kernel import Expr


def without_bias(totals: Iterable[Expr], bias: int, tokens: Sequence[IntegerColumns]) -> list[Expr]:
    """Take what the bias added away again: the bias times the sum of the activations.

    Args:
        totals: For each of the activations the sum of a block's products, int32x8.
        bias: What was added to each code.
        tokens: The activations.

    Returns:
        The sums of the products with the codes, exact: float32x8.
    """
    minus_bias = v.constant(-bias, "float32x8")
    return [
        T.Bind(v.multiply_add(v.splat(token.sum), minus_bias, v.convert(total, "float32")))
        for token, total in zip(tokens, totals, strict=True)
    ]
