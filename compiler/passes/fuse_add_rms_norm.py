"""Residual addition and normalization as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.passes.base import FLOAT, PatternPass, float_scheme_of, fused_node, module_of
from ossc.compiler.passes.pattern import Match, Pattern


class FuseAddRmsNorm(PatternPass):
    """Replace ``RMSNormalization(x + residual)`` by one node that also returns the sum.

    1. Two computed values are added, and their sum is normalized: fuse; the sum's other readers
       read the new node.
    2. What is added is a constant, such as a bias: leave it.
    3. What is normalized is no sum, such as the embedding: leave it.
    4. The norm's weight is not a float tensor of the checkpoint: leave it.
    """

    patterns: ClassVar = (
        Pattern(
            """<epsilon> (x, residual, weight) => (normed, sum) {
                sum = Add (x, residual)
                wide_weight = Cast <to = 1> (weight)
                normed = RMSNormalization <epsilon: float = @epsilon> (sum, wide_weight)
            }""",
            shared=("wide_weight",),
        ),
    )

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1."""
        weight = match.values["weight"]
        if _is_constant(match.values["x"]) or _is_constant(match.values["residual"]):  # case 2
            return None
        if float_scheme_of(weight, rank=1) is None:  # case 4
            return None
        hidden = ("tokens", *(weight.shape or ()))
        return fused_node(
            "AddRmsNorm",
            [match.values[name] for name in ("x", "residual", "weight")],
            module_of(weight.name),
            attributes={"epsilon": match.attributes["epsilon"]},
            outputs=[(FLOAT, hidden), (FLOAT, hidden)],
        )


def _is_constant(value: ir.Value) -> bool:
    """Tell whether a value is an initializer, as it is or widened."""
    producer = value.producer()
    if producer is not None and producer.op_type == "Cast":
        value = producer.inputs[0] or value
    return value.is_initializer()
