"""The gate and up projections of a feed-forward part as one product."""

import onnx_ir as ir

from ossc.compiler.checkpoint.views import interleave_rows
from ossc.compiler.dialect.call import Call, as_call, call_of, rebuilt
from ossc.compiler.passes.base import (
    FLOAT,
    NodePass,
    joint_format,
    module_of,
    register_initializer,
    replace_node,
)
from ossc.compiler.quantization.scheme import WeightType


class MergeGateUp(NodePass):
    """Put the rows of the two matrices in turn, so that one product holds gates beside their ups.

    1. Both inputs of a ``Glu`` come from a ``Linear``, or from an ``ExpertLinear``, of the same
       values and format: one of these, and the ``Glu`` of its columns in turn.
    2. Their weights are of different float types: the same in float32, which holds them exactly.
    3. They read different values, have different formats or options, or are computed: leave them.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Merge the projections of one activation."""
        glu = as_call(node, "Glu")
        if glu is None or glu.optional("up") is None:
            return False
        gate = call_of(glu.input("x"), "Linear", "ExpertLinear")
        up = call_of(glu.input("up"), "Linear", "ExpertLinear")
        if gate is None or up is None or not _alike(gate, up):  # case 3
            return False
        joint = joint_format([each.format for each in (gate, up) if each.format])  # case 2
        if joint is None:  # case 3
            return False
        merged = _merge(graph, gate, up, joint)
        graph.insert_before(node, merged)
        replace_node(graph, node, rebuilt(glu, inputs={"x": merged.outputs[0]}))
        return True


def _alike(gate: Call, up: Call) -> bool:
    """Whether two products differ in their weights only, and these are of the same shape."""
    if gate.operation is not up.operation or gate.options != up.options:
        return False
    if gate.node.outputs[0].shape != up.node.outputs[0].shape:
        return False
    values = [value for call in (gate, up) for value in (*call.parts, call.optional("bias"))]
    if any(value is not None and value.const_value is None for value in values):
        return False
    read = [{n: id(v) for n, v in call.inputs.items() if n != "bias"} for call in (gate, up)]
    return read[0] == read[1]


def _merge(graph: ir.Graph, gate: Call, up: Call, joint: WeightType) -> ir.Node:
    axis = 0 if gate.operation.name == "Linear" else 1
    name = f"{module_of(gate.name)}.gate_up_proj"

    def both(last: str, first: ir.Value, second: ir.Value) -> ir.Value:
        assert first.const_value is not None
        assert second.const_value is not None
        tensor = interleave_rows(f"{name}.{last}", first.const_value, second.const_value, axis)
        return register_initializer(graph, tensor)

    parts = [
        both(part.name, upper, lower)
        for part, upper, lower in zip(joint.parts, gate.parts, up.parts, strict=True)
    ]
    first, second = gate.optional("bias"), up.optional("bias")
    bias = both("bias", first, second) if first is not None and second is not None else None
    *leading, rows = gate.node.outputs[0].shape or ("tokens", 0)
    return rebuilt(
        gate,
        called=name,
        inputs={**gate.inputs, "bias": bias},
        weight=(joint, parts),
        outputs=[(FLOAT, (*leading, 2 * int(str(rows))))],
    )
