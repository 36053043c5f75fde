"""The mixture of experts: routing, the experts' two products, and their weighted sum.

One token calls its experts directly. A chunk first groups its (token, slot) pairs by expert, so
that an expert's weights are read once for all tokens that chose it.
"""

import onnx_ir as ir

from ossc.compiler.lowering.kernels.combine_experts import combine_experts
from ossc.compiler.lowering.kernels.expert_linear import expert_linear
from ossc.compiler.lowering.kernels.expert_swiglu import expert_swiglu
from ossc.compiler.lowering.kernels.group_by_expert import group_by_expert
from ossc.compiler.lowering.kernels.router_top_k import router_top_k
from ossc.compiler.lowering.operations.activations import activation_operands, activation_type
from ossc.compiler.lowering.operations.dense import product
from ossc.compiler.lowering.operations.standard import operand
from ossc.compiler.lowering.packed import expert_weight, swiglu_weight
from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.quantization import find_scheme


def lower_router(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``Router(x, weight, bias)``: float32 logits, then the k best and their softmax."""
    x, weight, bias = node.inputs
    label = node.name or ""
    logits = product(
        segment,
        operand(segment, x),
        "bf16",
        [initializer(weight)],
        bias=segment.float_parameter(bias),
        label=f"{label}/logits",
    )
    kernel = router_top_k(
        experts=int(logits.ty.shape[1]), k=node.attributes["k"].as_int(), n=segment.static_rows
    )
    indices, weights = segment.call(kernel, [logits], label)
    segment.values[node.outputs[0]] = indices
    segment.values[node.outputs[1]] = weights


def lower_expert_swiglu(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``ExpertSwiGlu(x, indices, parts…, bias)``."""
    x, indices, *parts, bias = node.inputs
    label = node.name or ""
    packed = swiglu_weight(find_scheme(scheme), [initializer(part) for part in parts])
    experts, rows, columns = packed.shape
    routing = operand(segment, indices)
    kernel = expert_swiglu(
        scheme=scheme,
        activation=activation_type(segment, scheme),
        experts=experts,
        intermediate=rows // 2,
        hidden=columns,
        k=int(routing.ty.shape[1]),
        alpha=node.attributes["alpha"].as_float(),
        limit=node.attributes["limit"].as_float(),
        n=segment.static_rows,
        isa=segment.options.target.kernel_isa,
    )
    arguments = [
        *activation_operands(segment, operand(segment, x), scheme, label),
        *_groups(segment, routing, experts, label),
        segment.packed_parameter(packed),
        segment.float_parameter(bias),
    ]
    (segment.values[node.outputs[0]],) = segment.call(kernel, arguments, label)


def lower_expert_linear(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``ExpertLinear(a, indices, parts…, bias)``."""
    a, indices, *parts, bias = node.inputs
    label = node.name or ""
    packed = expert_weight(find_scheme(scheme), [initializer(part) for part in parts])
    experts, rows, columns = packed.shape
    routing = operand(segment, indices)
    kernel = expert_linear(
        scheme=scheme,
        activation=activation_type(segment, scheme),
        experts=experts,
        hidden=rows,
        intermediate=columns,
        k=int(routing.ty.shape[1]),
        n=segment.static_rows,
        isa=segment.options.target.kernel_isa,
    )
    arguments = [
        *activation_operands(segment, operand(segment, a), scheme, label),
        *_groups(segment, routing, experts, label),
        segment.packed_parameter(packed),
        segment.float_parameter(bias),
    ]
    (segment.values[node.outputs[0]],) = segment.call(kernel, arguments, label)


def lower_combine_experts(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``CombineExperts(y, weights)``."""
    y, weights = (operand(segment, value) for value in node.inputs)
    _, k, hidden = y.ty.shape
    kernel = combine_experts(hidden=int(hidden), k=int(k), n=segment.static_rows)
    (segment.values[node.outputs[0]],) = segment.call(kernel, [y, weights], node.name or "")


def _groups(segment: SegmentBuilder, routing: Expr, experts: int, label: str) -> list[Expr]:
    if segment.static_rows == 1:
        return [routing]
    kernel = group_by_expert(experts=experts, k=int(routing.ty.shape[1]), n=segment.static_rows)
    return segment.once(
        ("groups", routing), lambda: segment.call(kernel, [routing], f"{label}/group")
    )
