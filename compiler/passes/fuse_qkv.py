"""The query, key and value projections of an attention layer as one product."""

import numpy as np
import onnx_ir as ir

from ossc.compiler.checkpoint.views import concatenate_rows
from ossc.compiler.dialect import DOMAIN, op_type, parse_operation, weight_inputs
from ossc.compiler.passes.base import FLOAT, Pass, fused_node, module_of, register_initializer
from ossc.compiler.quantization import f32, find_scheme, float_schemes
from ossc.compiler.quantization.scheme import QuantizationScheme

_ON_THE_WAY = {"Reshape", "Transpose", "RotaryEmbedding", "Pad"}
"""Operators between a projection and the attention; they pass their first input on."""


class FuseQkv(Pass):
    """Put the three matrices one below the other, and split the product's columns.

    1. The query, key and value of one ``Attention`` come from a ``Linear`` each, all of the same
       value and scheme: one ``Linear``, then a ``Split``.
    2. Their weights are of different float types: the same in float32, which holds them exactly.
    3. They read different values, or their weights have different schemes: leave them.
    """

    def rewrite(self, model: ir.Model) -> bool:
        """Merge the projections of every attention."""
        layers = [
            [_projection(value) for value in node.inputs[:3]]
            for node in model.graph
            if node.op_type == "Attention"
        ]
        return sum(_merge(model.graph, projections) for projections in layers) > 0


def _projection(value: ir.Value | None) -> ir.Node | None:
    """Return the ``Linear`` from which a value of the attention comes, if it does."""
    node = value.producer() if value is not None else None
    while node is not None and node.domain != DOMAIN:
        if node.op_type == "Concat":  # the cache, then the keys of this call
            value = node.inputs[-1]
        elif node.op_type in _ON_THE_WAY:
            value = node.inputs[0]
        else:
            return None
        node = value.producer() if value is not None else None
    return node if node is not None and parse_operation(node.op_type)[0] == "Linear" else None


def _merge(graph: ir.Graph, projections: list[ir.Node | None]) -> bool:
    nodes = [node for node in projections if node is not None]
    if len({id(node) for node in nodes}) != 3:
        return False
    scheme = _joint_scheme([parse_operation(node.op_type)[1] or "" for node in nodes])
    if len({id(node.inputs[0]) for node in nodes}) != 1 or scheme is None:  # case 3
        return False
    heights = [value.shape.numpy()[0] for value in map(_bias, nodes) if value.shape]
    name = f"{module_of(nodes[0].name)}.qkv_proj"
    parts = [
        _concatenate(graph, name, [weight_inputs(node)[index] for node in nodes])
        for index in range(len(weight_inputs(nodes[0])))
    ]
    x, bias = nodes[0].inputs[0], _concatenate(graph, name, [_bias(node) for node in nodes])
    assert x is not None
    merged = fused_node(
        op_type("Linear", scheme),
        [x, *parts, bias],
        name,
        outputs=[(FLOAT, ["tokens", sum(heights)])],
    )
    sizes = ir.Tensor(np.array(heights, np.int64), name=f"{name}.heights")
    split = ir.node(
        "Split",
        [merged.outputs[0], register_initializer(graph, sizes)],
        {"axis": -1},
        outputs=[
            ir.Value(name=f"{node.outputs[0].name}:split", type=ir.TensorType(FLOAT))
            for node in nodes
        ],
        name=f"{name}/Split",
    )
    graph.insert_before(nodes[0], [merged, split])
    for node, value in zip(nodes, split.outputs, strict=True):
        ir.convenience.replace_all_uses_with(node.outputs[0], value)
    return True


def _joint_scheme(names: list[str]) -> QuantizationScheme | None:
    """Return the scheme of matrices put together; None where they have to stay apart."""
    if len(set(names)) == 1:
        return find_scheme(names[0])
    if {scheme.name for scheme in float_schemes()}.issuperset(names):  # case 2
        return f32.SCHEME
    return None


def _bias(node: ir.Node) -> ir.Value:
    bias = node.inputs[-1]
    assert bias is not None
    return bias


def _concatenate(graph: ir.Graph, name: str, values: list[ir.Value]) -> ir.Value:
    """Make one initializer out of three, named as the last part of theirs."""
    tensors = [value.const_value for value in values if value.const_value is not None]
    last = (values[0].name or "").rpartition(".")[2]
    return register_initializer(graph, concatenate_rows(f"{name}.{last}", tensors))
