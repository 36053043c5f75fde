"""A product and the activation of its columns as one node."""

import onnx_ir as ir

from ossc.compiler.dialect.bodies.expert_product import SHARED
from ossc.compiler.dialect.call import Call, as_call, call_of, rebuilt
from ossc.compiler.passes.base import NodePass, replace_node


class FuseGlu(NodePass):
    """Replace a product and the ``Glu`` of its columns by ``LinearGlu`` or ``ExpertGlu``.

    1. A ``Linear``, whose columns are gates and ups in turn: ``LinearGlu``.
    2. An ``ExpertLinear`` of one vector a token: ``ExpertGlu``.
    3. Gates and ups are two values, or others read the product too, or the experts' vectors
       differ: leave it.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Fuse case 1 or 2."""
        glu = as_call(node, "Glu")
        if glu is None or glu.optional("up") is not None:
            return False
        product = call_of(glu.input("x"), "Linear", "ExpertLinear")
        if product is None or len(product.node.outputs[0].uses()) != 1:  # case 3
            return False
        name = _fused_name(product)
        if name is None:  # case 3
            return False
        fused = rebuilt(
            product,
            name,
            variants=[each for each in glu.operation.variants if each in glu.options],
            attributes=dict(glu.node.attributes),
            outputs=glu.output_types(),
        )
        replace_node(graph, node, fused)
        return True


def _fused_name(product: Call) -> str | None:
    variants = product.options - {"bias"}
    if product.operation.name == "Linear":
        return "LinearGlu"
    return "ExpertGlu" if variants == {SHARED} else None
