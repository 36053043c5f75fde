"""The lookup of the tokens' embeddings as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.dialect import op_type
from ossc.compiler.passes.base import FLOAT, PatternPass, float_scheme_of, fused_node, module_of
from ossc.compiler.passes.pattern import Match, Pattern


class FuseEmbedding(PatternPass):
    """Replace the gathered rows of the tokens, and their widening, by one node.

    1. ``Cast(Gather(weight, Reshape(input_ids, [-1])))`` of a float matrix becomes the
       ``Embedding`` of its type, such as ``Bf16Embedding``; the reshape stays.
    2. The rows are chosen by something that is computed, such as an expert's bias: leave it.
    3. The weight is not a float matrix of the checkpoint: leave it.
    """

    patterns: ClassVar = (
        Pattern(
            """(input_ids, weight) => (y) {
                all_tokens = Constant <value_ints = [-1]> ()
                ids = Reshape (input_ids, all_tokens)
                rows = Gather <axis = 0> (weight, ids)
                y = Cast <to = 1> (rows)
            }""",
            shared=("ids",),
        ),
    )

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1."""
        weight = match.values["weight"]
        if not match.values["input_ids"].is_graph_input():  # case 2
            return None
        scheme = float_scheme_of(weight, rank=2)
        if scheme is None:  # case 3
            return None
        _, columns = weight.shape.numpy() if weight.shape else (0, 0)
        return fused_node(
            op_type("Embedding", scheme),
            [match.values["ids"], weight],
            module_of(weight.name),
            outputs=[(FLOAT, ["tokens", columns])],
        )
