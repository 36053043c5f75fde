"""The choice of experts as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.dialect import op_type
from ossc.compiler.passes.base import FLOAT, PatternPass, fused_node, module_of
from ossc.compiler.passes.pattern import Match, Pattern
from ossc.compiler.quantization import float_schemes
from ossc.compiler.quantization.scheme import QuantizationScheme


def _router_pattern(scheme: QuantizationScheme) -> Pattern:
    return Pattern(f"""(x, weight, bias, k) => (indices, weights) {{
        logits = ossc.{op_type("Linear", scheme)} (x, weight, bias)
        largest, indices = TopK <axis = -1, largest = 1, sorted = 1> (logits, k)
        weights = Softmax <axis = -1> (largest)
    }}""")


class FuseRouter(PatternPass):
    """Replace a linear layer, top-k and the softmax of the chosen logits by ``Router``.

    1. ``Softmax(TopK(Linear(x), k))``, with weights of a float type and a constant k: fuse.
    2. The softmax is over all logits, or k is computed: leave it.
    3. Other nodes read the logits too: leave it.
    """

    patterns: ClassVar = tuple(map(_router_pattern, float_schemes()))

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1."""
        k = match.constant("k")
        if k is None:  # case 2
            return None
        chosen = ("tokens", k[0])
        return fused_node(
            "Router",
            [match.values[name] for name in ("x", "weight", "bias")],
            module_of(match.values["weight"].name),
            attributes={"k": k[0]},
            outputs=[(ir.DataType.INT64, chosen), (FLOAT, chosen)],
        )
