"""Logits of chosen tokens only."""

import onnx_ir as ir

from ossc.compiler.dialect.call import call_of
from ossc.compiler.passes.base import NodePass

ROW_INDICES = "row_indices"
"""The graph input that this pass adds."""


class SelectRowsBeforeHead(NodePass):
    """Compute the head, the largest product of all, for the rows that the caller asks for.

    1. The logits are the reshaped product of the head: a ``Gather`` of the rows in the new graph
       input ``row_indices`` ``[rows]`` goes before the product, and the logits become
       ``[rows, vocab_size]``.
    2. The logits come from elsewhere, or rows are selected already: leave them.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Insert the selection."""
        head = _find_head(node)
        if head is None:  # case 2
            return False
        hidden, logits = head.inputs[0], head.outputs[0]
        assert hidden is not None
        rows = ir.Value(
            name=ROW_INDICES, type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["rows"])
        )
        graph.inputs.append(rows)
        chosen = ir.Value(name=f"{head.name}:rows", type=hidden.type)
        if hidden.shape is not None:
            chosen.shape = ir.Shape(["rows", hidden.shape[-1]])
        gather = ir.node(
            "Gather", [hidden, rows], {"axis": 0}, outputs=[chosen], name=f"{head.name}/Gather"
        )
        graph.insert_before(head, gather)
        head.replace_input_with(0, chosen)
        _make_output(graph, "logits", logits)
        return True


def _find_head(node: ir.Node) -> ir.Node | None:
    """Return the product of the head, if its result, reshaped, is the logits and this node."""
    if node.op_type != "Reshape" or node.outputs[0].name != "logits":
        return None
    head = call_of(node.inputs[0], "Linear")
    return head.node if head is not None and head.tensor_class == "head" else None


def _make_output(graph: ir.Graph, name: str, value: ir.Value) -> None:
    """Put a value in the place of the graph output of this name."""
    index = next(index for index, output in enumerate(graph.outputs) if output.name == name)
    graph.outputs[index].name = f"{name}:before"
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["rows", *(value.shape or ())[1:]])
    graph.outputs[index] = value
