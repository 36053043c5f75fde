"""Residual addition and normalization as one node."""

import onnx_ir as ir

from ossc.compiler.dialect.call import as_call, dialect_node
from ossc.compiler.passes.base import FLOAT, NodePass, replace_value


class FuseAddRmsNorm(NodePass):
    """Replace ``RmsNorm(x + residual)`` by one node that also returns the sum.

    1. Two computed values are added, and their sum is normalized: fuse; the sum's other readers
       read the new node.
    2. What is added is an initializer, such as a bias: leave it.
    3. What is normalized is no sum, such as the embedding: leave it.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Fuse case 1."""
        norm = as_call(node, "RmsNorm")
        add = norm.input("x").producer() if norm is not None else None
        if norm is None or add is None or add.op_type != "Add" or add.domain:  # case 3
            return False
        x, residual = add.inputs
        if x is None or residual is None or x.is_initializer() or residual.is_initializer():
            return False  # case 2
        shape = tuple(node.outputs[0].shape or ())
        fused = dialect_node(
            "AddRmsNorm",
            {"x": x, "residual": residual, "weight": norm.input("weight")},
            called=norm.name,
            attributes=dict(node.attributes),
            outputs=[(FLOAT, shape), (FLOAT, shape)],
        )
        graph.insert_after(add, fused)
        replace_value(node.outputs[0], fused.outputs[0])
        replace_value(add.outputs[0], fused.outputs[1])
        graph.remove([node, add], safe=True)
        return True
