"""ONNX → Relax: the fused, quantized model as segments.

The model falls in two at the Gather that selects the rows before the head: all before it is the
body (one token, or a chunk), all after it the head (one row, or a few). Weights stay parameters and
are never read here.
"""

from collections.abc import Callable, Iterable

import onnx_ir as ir

from ossc.compiler.backends.cpu.operations import attention, dense, experts, norm
from ossc.compiler.dialect import DOMAIN, parse_operation
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

_WEIGHTED: dict[str, Callable[[SegmentBuilder, ir.Node, str], None]] = {
    "Embedding": dense.lower_embedding,
    "ExpertLinear": experts.lower_expert_linear,
    "ExpertSwiGlu": experts.lower_expert_swiglu,
    "Linear": dense.lower_linear,
    "MatMul": dense.lower_mat_mul,
}
"""Operations that exist once for each quantization scheme."""

_PLAIN: dict[str, Callable[[SegmentBuilder, ir.Node], None]] = {
    "AddRmsNorm": norm.lower_add_rms_norm,
    "CombineExperts": experts.lower_combine_experts,
    "Router": experts.lower_router,
    "SinkAttention": attention.lower_sink_attention,
}


def import_segments(
    model: ir.Model, options: LoweringOptions, library: KernelLibrary
) -> tuple[list[RelaxSegment], dict[str, PackedWeight]]:
    """Translate the model into the four segments of a bundle.

    Args:
        model: The model, fused and quantized.
        options: What for.
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

    segments = [
        _import_body(builder("decode", 1), model.graph, body_nodes, selection),
        *(_import_head(builder("head", 1), model.graph, head_nodes, selection),),
        _import_body(builder("prefill", options.prefill_chunk), model.graph, body_nodes, selection),
        _import_head(builder("head", HEAD_BLOCK_ROWS), model.graph, head_nodes, selection),
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
    segment: SegmentBuilder, graph: ir.Graph, nodes: Iterable[ir.Node], selection: ir.Node
) -> RelaxSegment:
    inputs = {value.name: value for value in graph.inputs}

    def translate() -> dict[str, Expr]:
        for name in ("input_ids", "position_ids"):
            variable = segment.parameter(name, "input", (1, segment.rows), "int64")
            segment.values[inputs[name]] = variable
        _translate(segment, nodes)
        outputs = {"hidden": segment.values[selection.inputs[0]]}
        for value in graph.outputs:
            if value in segment.values:
                outputs[f"{value.name}"] = segment.values[value]
        return outputs

    return segment.run(translate)


def _import_head(
    segment: SegmentBuilder, graph: ir.Graph, nodes: Iterable[ir.Node], selection: ir.Node
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
        _translate(segment, nodes)
        return {"logits": segment.values[graph.outputs[0]]}

    return segment.run(translate)


def _translate(segment: SegmentBuilder, nodes: Iterable[ir.Node]) -> None:
    for node in nodes:
        if node.domain != DOMAIN:
            _lower_standard(segment, node)
            continue
        operation, scheme = parse_operation(node.op_type)
        if scheme is not None and operation in _WEIGHTED:
            _WEIGHTED[operation](segment, node, scheme)
        elif operation in _PLAIN:
            _PLAIN[operation](segment, node)
        else:
            raise LoweringError(f"The operation {node.op_type} of {node.name!r} has no lowering.")


def _lower_standard(segment: SegmentBuilder, node: ir.Node) -> None:
    if node.op_type == "RMSNormalization":
        norm.lower_rms_norm(segment, node)
    else:
        standard.lower(segment, node)
