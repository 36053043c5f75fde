"""Products with float matrices of the checkpoint, each as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.dialect import op_type
from ossc.compiler.passes.base import FLOAT, PatternPass, float_scheme_of, fused_node, module_of
from ossc.compiler.passes.pattern import Match, Pattern


class FuseLinear(PatternPass):
    """Replace the widening, the transposition, the product and the bias by one node.

    1. ``x @ Transpose(Cast(weight)) + Cast(bias)`` becomes the ``Linear`` of the weight's type,
       such as ``Bf16Linear``; the bias may be of another float type.
    2. The same without a bias becomes ``Bf16MatMul``.
    3. The weight is computed, or not a float matrix: leave it.
    4. What is added is not a vector with one value a column: case 2 for the product, and the
       addition stays.
    """

    patterns: ClassVar = (
        Pattern(
            """(x, weight, bias) => (y) {
                wide = Cast <to = 1> (weight)
                columns = Transpose <perm = [1, 0]> (wide)
                product = MatMul (x, columns)
                wide_bias = Cast <to = 1> (bias)
                y = Add (product, wide_bias)
            }""",
            shared=("wide", "columns", "wide_bias"),
        ),
        Pattern(
            """(x, weight) => (y) {
                wide = Cast <to = 1> (weight)
                columns = Transpose <perm = [1, 0]> (wide)
                y = MatMul (x, columns)
            }""",
            shared=("wide", "columns"),
        ),
    )

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1 or 2."""
        x, weight, bias = (match.values.get(name) for name in ("x", "weight", "bias"))
        assert x is not None
        assert weight is not None
        scheme = float_scheme_of(weight, rank=2)
        if scheme is None:  # case 3
            return None
        rows, _ = weight.shape.numpy() if weight.shape else (0, 0)
        if bias is None:  # case 2
            operation, inputs = "MatMul", [x, weight]
        elif float_scheme_of(bias, rank=1) is not None and bias.shape == [rows]:  # case 1
            operation, inputs = "Linear", [x, weight, bias]
        else:  # case 4
            return None
        return fused_node(
            op_type(operation, scheme),
            inputs,
            module_of(weight.name),
            outputs=[(FLOAT, ["tokens", rows])],
        )
