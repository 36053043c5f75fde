"""Rotary embedding and attention as one node."""

import onnx_ir as ir

from ossc.compiler.dialect.call import Call, as_call, call_of, rebuilt
from ossc.compiler.passes.base import NodePass, replace_node

_OF_ATTENTION = ("past_key", "past_value", "position_ids", "sinks", "query_scale")


class FuseRopeAttention(NodePass):
    """Replace the split of a product, the rotations and the attention by ``RopeAttention``.

    1. Query and key of an ``Attention`` are a ``Rope`` each by the same angles, and what these and
       the value are, are the columns of one product in this order: fuse.
    2. One of them comes from elsewhere, or the angles differ: leave it.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Fuse case 1."""
        attention = as_call(node, "Attention")
        if attention is None:
            return False
        query, key = (call_of(attention.input(name), "Rope") for name in ("query", "key"))
        if query is None or key is None or _angles(query) != _angles(key):  # case 2
            return False
        qkv = _split_of([query.input("x"), key.input("x"), attention.input("value")])
        if qkv is None:  # case 2
            return False
        inputs = {name: attention.inputs.get(name) for name in _OF_ATTENTION}
        inputs |= {"qkv": qkv, "cos": query.input("cos"), "sin": query.input("sin")}
        replace_node(graph, node, rebuilt(attention, "RopeAttention", inputs=inputs))
        return True


def _angles(rope: Call) -> tuple[object, ...]:
    return rope.integer("head_dim"), id(rope.input("cos")), id(rope.input("sin"))


def _split_of(values: list[ir.Value]) -> ir.Value | None:
    """Return the value of which these are all the columns, in their order."""
    split = values[0].producer()
    if split is None or split.op_type != "Split" or tuple(split.outputs) != tuple(values):
        return None
    return split.inputs[0]
