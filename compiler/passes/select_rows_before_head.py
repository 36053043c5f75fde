"""Logits of chosen tokens only."""

import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, parse_operation
from ossc.compiler.passes.base import Pass

ROW_INDICES = "row_indices"
"""The graph input that this pass adds."""


class SelectRowsBeforeHead(Pass):
    """Compute the head, the largest product of all, for the rows that the caller asks for.

    1. The logits are the reshaped product of the head: a ``Gather`` of the rows in the new graph
       input ``row_indices`` ``[rows]`` goes before the product, and the logits become
       ``[rows, vocab_size]``.
    2. The logits come from elsewhere, or rows are selected already: leave them.
    """

    def rewrite(self, model: ir.Model) -> bool:
        """Insert the selection."""
        graph = model.graph
        head = _find_head(graph)
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


def _find_head(graph: ir.Graph) -> ir.Node | None:
    """Return the product whose result, reshaped, is the logits."""
    reshape = next(value.producer() for value in graph.outputs if value.name == "logits")
    if reshape is None or reshape.op_type != "Reshape" or reshape.inputs[0] is None:
        return None
    head = reshape.inputs[0].producer()
    if head is None or head.domain != DOMAIN or parse_operation(head.op_type)[0] != "MatMul":
        return None
    return head


def _make_output(graph: ir.Graph, name: str, value: ir.Value) -> None:
    """Put a value in the place of the graph output of this name."""
    index = next(index for index, output in enumerate(graph.outputs) if output.name == name)
    graph.outputs[index].name = f"{name}:before"
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["rows", *(value.shape or ())[1:]])
    graph.outputs[index] = value
