"""ONNX → Relax: the fused, quantized model as segments.

The model falls in two at the Gather that selects the rows before the head: all before it is the
body (one token, or a chunk), all after it the head (one row, or a few). Weights stay parameters and
are never read here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import onnx_ir as ir

from ossc.compiler.dialect.call import Call, as_call
from ossc.compiler.lowering import standard
from ossc.compiler.lowering.library import KernelLibrary
from ossc.compiler.lowering.segment import (
    Expr,
    LoweringOptions,
    RelaxSegment,
    SegmentBuilder,
)
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.plan import SegmentName
from ossc.targets.errors import LoweringError

HEAD_BLOCK_ROWS = 16
"""Rows of the head's larger segment: all logits of a prompt are computed in blocks of it."""

Lower = Callable[[SegmentBuilder, Call], None]
"""Translates a node of the dialect: emits its calls, and gives its outputs a value."""

LowerStandard = Callable[[SegmentBuilder, ir.Node], None]
"""The same for a standard node."""


@dataclass(frozen=True, kw_only=True)
class OperationTable:
    """Which operations a backend has kernels for, and how their nodes become calls of them."""

    dialect: Mapping[str, Lower]
    """Operations of the dialect."""

    standard: Mapping[str, LowerStandard] = field(default_factory=dict)
    """Standard operators of ONNX that have a kernel of ours; Relax has the others."""

    index_dtype: Literal["int32", "int64"] = "int64"
    """The type of token ids and positions."""


def import_segments(
    model: ir.Model,
    options: LoweringOptions,
    operations: OperationTable,
    library: KernelLibrary,
) -> tuple[list[RelaxSegment], dict[str, PackedWeight]]:
    """Translate the model into the four segments of a bundle.

    Args:
        model: The model, fused and quantized.
        options: What for.
        operations: The backend's.
        library: Where its kernels come from.

    Returns:
        The segments decode, prefill, head for one row and head for a block of rows; the packed
        weights by name, in the order in which a decoded token reads them.

    Raises:
        LoweringError: The graph has no selection of rows before the head, or a node that has no
            lowering.
    """
    weights: dict[str, PackedWeight] = {}
    selection = _row_selection(model.graph)
    head_nodes = _downstream(model.graph, selection.outputs[0])
    body_nodes = [n for n in model.graph if n not in head_nodes and n is not selection]

    def builder(name: SegmentName, max_tokens: int) -> SegmentBuilder:
        return SegmentBuilder(name, max_tokens, options, weights, library)

    def body(name: SegmentName, max_tokens: int) -> RelaxSegment:
        segment = builder(name, max_tokens)
        return _import_body(segment, model.graph, body_nodes, selection, operations)

    def head(max_tokens: int) -> RelaxSegment:
        segment = builder("head", max_tokens)
        return _import_head(segment, model.graph, head_nodes, selection, operations)

    segments = [
        body("decode", 1),
        head(1),
        body("prefill", options.prefill_chunk),
        head(HEAD_BLOCK_ROWS),
    ]
    return segments, weights


def _row_selection(graph: ir.Graph) -> ir.Node:
    rows = next((value for value in graph.inputs if value.name == "row_indices"), None)
    consumers = list(rows.consumers()) if rows is not None else []
    if len(consumers) != 1:
        raise LoweringError(
            "The ONNX graph does not select rows before its head; apply SelectRowsBeforeHead first."
        )
    return consumers[0]


def _downstream(graph: ir.Graph, value: ir.Value) -> dict[ir.Node, None]:
    """Return the nodes that depend on a value, in the graph's order."""
    reached = {value}
    nodes: dict[ir.Node, None] = {}
    for node in graph:
        if reached.intersection(node.inputs):
            nodes[node] = None
            reached.update(node.outputs)
    return nodes


def _import_body(
    segment: SegmentBuilder,
    graph: ir.Graph,
    nodes: Iterable[ir.Node],
    selection: ir.Node,
    operations: OperationTable,
) -> RelaxSegment:
    inputs = {value.name: value for value in graph.inputs}

    def translate() -> dict[str, Expr]:
        for name in ("input_ids", "position_ids"):
            variable = segment.parameter(name, "input", (1, segment.rows), operations.index_dtype)
            segment.values[inputs[name]] = variable
        translate_nodes(segment, nodes, operations)
        outputs = {"hidden": segment.values[selection.inputs[0]]}
        for value in graph.outputs:
            if value in segment.values:
                outputs[f"{value.name}"] = segment.values[value]
        return outputs

    return segment.run(translate)


def _import_head(
    segment: SegmentBuilder,
    graph: ir.Graph,
    nodes: Iterable[ir.Node],
    selection: ir.Node,
    operations: OperationTable,
) -> RelaxSegment:
    hidden = selection.inputs[0]
    assert hidden is not None
    assert hidden.shape is not None
    hidden_size = int(str(hidden.shape[-1]))

    def translate() -> dict[str, Expr]:
        shape = (segment.rows, hidden_size)
        segment.values[selection.outputs[0]] = segment.parameter(
            "hidden", "input", shape, "float32"
        )
        translate_nodes(segment, nodes, operations)
        return {"logits": segment.values[graph.outputs[0]]}

    return segment.run(translate)


def translate_nodes(
    segment: SegmentBuilder, nodes: Iterable[ir.Node], operations: OperationTable
) -> None:
    """Translate nodes in their order; what they read is weights, or has a value in the segment.

    Raises:
        LoweringError: One of them has no lowering.
    """
    for node in nodes:
        call = as_call(node)
        if call is None:
            operations.standard.get(node.op_type, standard.lower)(segment, node)
        elif call.operation.name in operations.dialect:
            operations.dialect[call.operation.name](segment, call)
        else:
            raise LoweringError(
                f"The operation {node.op_type} of {node.name!r} has no lowering; "
                f"these do: {', '.join(sorted(operations.dialect))}."
            )
