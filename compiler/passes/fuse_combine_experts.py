"""The weighted sum of the experts' results as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, parse_operation
from ossc.compiler.passes.base import FLOAT, PatternPass, fused_node, module_of
from ossc.compiler.passes.pattern import Match, Pattern


class FuseCombineExperts(PatternPass):
    """Replace the product with the router's weights and the sum over the experts by one node.

    1. What is summed comes from an ``ExpertLinear``: fuse.
    2. It comes from elsewhere: leave it.
    """

    patterns: ClassVar = (
        Pattern("""(x, weights) => (y) {
            last_axis = Constant <value_ints = [-1]> ()
            slots = Constant <value_ints = [1]> ()
            weights_column = Unsqueeze (weights, last_axis)
            weighted = Mul (x, weights_column)
            y = ReduceSum <keepdims = 0> (weighted, slots)
        }"""),
    )

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1."""
        x = match.values["x"]
        linear = x.producer()
        if linear is None or linear.domain != DOMAIN:  # case 2
            return None
        if parse_operation(linear.op_type)[0] != "ExpertLinear" or x.shape is None:  # case 2
            return None
        return fused_node(
            "CombineExperts",
            [x, match.values["weights"]],
            module_of(linear.name),
            outputs=[(FLOAT, ["tokens", x.shape[-1]])],
        )
