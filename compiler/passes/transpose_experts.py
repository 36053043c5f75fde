"""The experts' matrices with their rows first."""

import onnx_ir as ir

from ossc.compiler.checkpoint.views import transpose_matrices
from ossc.compiler.dialect.bodies.expert_product import TRANSPOSED
from ossc.compiler.dialect.call import as_call, rebuilt
from ossc.compiler.passes.base import NodePass, register_initializer, replace_node


class TransposeExperts(NodePass):
    """Turn weights ``[E, K, N]`` into ``[E, N, K]``, which are transposed when they are read.

    1. An ``ExpertLinear`` of the variant ``transposed``: the same without it.
    2. Its weight is computed: leave it.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrite case 1."""
        call = as_call(node, "ExpertLinear")
        if call is None or call.format is None or TRANSPOSED not in call.options:
            return False
        (weight,) = call.parts
        if weight.const_value is None:  # case 2
            return False
        upright = transpose_matrices(f"{weight.name}.weight", weight.const_value)
        variants = [each for each in call.operation.variants if each in call.options]
        variants.remove(TRANSPOSED)
        new = rebuilt(
            call,
            weight=(call.format, [register_initializer(graph, upright)]),
            variants=variants,
        )
        replace_node(graph, node, new)
        return True
