"""The query, key and value projections of an attention layer as one product."""

import numpy as np
import onnx_ir as ir

from ossc.compiler.checkpoint.views import concatenate_rows
from ossc.compiler.dialect.call import Call, as_call, call_of, dialect_node
from ossc.compiler.passes.base import (
    FLOAT,
    NodePass,
    joint_format,
    module_of,
    register_initializer,
)
from ossc.compiler.quantization.scheme import WeightType


class MergeQkv(NodePass):
    """Put the three matrices one below the other, and split the product's columns.

    1. The query, key and value of one ``Attention`` come from a ``Linear`` each, the first two
       perhaps by way of a ``Rope``, all of the same value and format: one ``Linear``, then a
       ``Split``.
    2. Their weights are of different float types: the same in float32, which holds them exactly.
    3. They read different values, or their weights have different formats, or some have a bias and
       others not: leave them.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Merge the projections of one attention."""
        attention = as_call(node, "Attention")
        if attention is None:
            return False
        found = [_projection(attention.input(name)) for name in ("query", "key", "value")]
        projections = [each for each in found if each is not None]
        if len({id(each.node) for each in projections}) != 3:
            return False
        if len({id(each.input("x")) for each in projections}) != 1:  # case 3
            return False
        if len({each.options for each in projections}) != 1:  # case 3
            return False
        joint = joint_format([each.format for each in projections if each.format])  # case 2
        if joint is None:  # case 3
            return False
        _merge(graph, projections, joint)
        return True


def _projection(value: ir.Value) -> Call | None:
    """Return the ``Linear`` from which a value of the attention comes, if it does."""
    rope = call_of(value, "Rope")
    return call_of(rope.input("x") if rope is not None else value, "Linear")


def _merge(graph: ir.Graph, projections: list[Call], joint: WeightType) -> None:
    first = projections[0]
    heights = [
        int(str(each.node.outputs[0].shape[-1]))
        for each in projections
        if each.node.outputs[0].shape
    ]
    name = f"{module_of(first.name)}.qkv_proj"
    parts = [
        _concatenate(graph, name, list(values))
        for values in zip(*(each.parts for each in projections), strict=True)
    ]
    biases = [each.optional("bias") for each in projections]
    merged = dialect_node(
        "Linear",
        {
            "x": first.input("x"),
            "bias": _concatenate(graph, name, [bias for bias in biases if bias is not None]),
        },
        called=name,
        outputs=[(FLOAT, ("tokens", sum(heights)))],
        weight=(joint, [part for part in parts if part is not None]),
        attributes=dict(first.node.attributes),
    )
    sizes = ir.Tensor(np.array(heights, np.int64), name=f"{name}.heights")
    split = ir.node(
        "Split",
        [merged.outputs[0], register_initializer(graph, sizes)],
        {"axis": -1},
        outputs=[
            ir.Value(
                name=f"{each.node.outputs[0].name}:split",
                type=ir.TensorType(FLOAT),
                shape=each.node.outputs[0].shape,
            )
            for each in projections
        ],
        name=f"{name}/Split",
    )
    graph.insert_before(first.node, [merged, split])
    for each, value in zip(projections, split.outputs, strict=True):
        ir.convenience.replace_all_uses_with(each.node.outputs[0], value)


def _concatenate(graph: ir.Graph, name: str, values: list[ir.Value]) -> ir.Value | None:
    """Make one initializer out of three, named as the last part of theirs; None of none."""
    if not values:
        return None
    tensors = [value.const_value for value in values if value.const_value is not None]
    last = (values[0].name or "").rpartition(".")[2]
    return register_initializer(graph, concatenate_rows(f"{name}.{last}", tensors))
