"""The mixture of experts: routing, the experts' two products, and their weighted sum.

One token calls its experts directly. A chunk first groups its (token, slot) pairs by expert, so
that an expert's weights are read once for all tokens that chose it.
"""

from collections.abc import Callable

import onnx_ir as ir

from ossc.compiler.backends.cpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.kernels.experts.expert_swiglu import expert_swiglu
from ossc.compiler.backends.cpu.kernels.experts.group_by_expert import group_by_expert
from ossc.compiler.backends.cpu.kernels.experts.router_top_k import router_top_k
from ossc.compiler.backends.cpu.operations.activations import activation_operands, activation_type
from ossc.compiler.backends.cpu.operations.dense import product
from ossc.compiler.backends.cpu.packed import PackedExperts, Tensors, expert_weight, swiglu_weight
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.lowering.standard import operand
from ossc.compiler.quantization import find_float_scheme, find_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme


def lower_router(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``Router(x, weight, bias)``: float32 logits, then the k best and their softmax."""
    x, weight, bias = node.inputs
    label = node.name or ""
    stored = initializer(weight)
    scheme = find_float_scheme(stored.dtype.numpy())
    assert scheme is not None, "FuseRouter takes float weights only"
    logits = product(
        segment,
        operand(segment, x),
        scheme.name,
        [stored],
        bias=segment.float_parameter(bias),
        label=f"{label}/logits",
    )
    kernel = segment.kernel(
        router_top_k,
        experts=int(logits.ty.shape[1]),
        k=node.attributes["k"].as_int(),
        n=segment.static_rows,
    )
    indices, weights = segment.call(kernel, [logits], label)
    segment.values[node.outputs[0]] = indices
    segment.values[node.outputs[1]] = weights


def lower_expert_swiglu(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``ExpertSwiGlu(x, indices, parts…, bias)``."""
    product = _ExpertProduct(segment, node, scheme, swiglu_weight)
    experts, rows, columns = product.packed.shape
    kernel = segment.kernel(
        expert_swiglu,
        scheme=scheme,
        activation=activation_type(segment, scheme),
        experts=experts,
        intermediate=rows // 2,
        hidden=columns,
        k=product.k,
        alpha=node.attributes["alpha"].as_float(),
        limit=node.attributes["limit"].as_float(),
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    product.call(kernel)


def lower_expert_linear(segment: SegmentBuilder, node: ir.Node, scheme: str) -> None:
    """Translate ``ExpertLinear(a, indices, parts…, bias)``."""
    product = _ExpertProduct(segment, node, scheme, expert_weight)
    experts, rows, columns = product.packed.shape
    kernel = segment.kernel(
        expert_linear,
        scheme=scheme,
        activation=activation_type(segment, scheme),
        experts=experts,
        hidden=rows,
        intermediate=columns,
        k=product.k,
        n=segment.static_rows,
        isa=segment.options.target.host.kernel_isa,
    )
    product.call(kernel)


def lower_combine_experts(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``CombineExperts(y, weights)``."""
    y, weights = (operand(segment, value) for value in node.inputs)
    _, k, hidden = y.ty.shape
    kernel = segment.kernel(combine_experts, hidden=int(hidden), k=int(k), n=segment.static_rows)
    (segment.values[node.outputs[0]],) = segment.call(kernel, [y, weights], node.name or "")


class _ExpertProduct:
    """What the two products share: activations, routing, packed weight and bias."""

    def __init__(
        self,
        segment: SegmentBuilder,
        node: ir.Node,
        scheme: str,
        pack: Callable[[QuantizationScheme, Tensors], PackedExperts],
    ) -> None:
        self._segment, self._node, self._scheme = segment, node, scheme
        self._x, indices, *parts, self._bias = node.inputs
        self._routing = operand(segment, indices)
        self.packed = pack(find_scheme(scheme), [initializer(part) for part in parts])
        self.k = int(self._routing.ty.shape[1])

    def call(self, kernel: Kernel) -> None:
        """Emit the kernel's call as the node's value."""
        segment, label = self._segment, self._node.name or ""
        arguments = [
            *activation_operands(segment, operand(segment, self._x), self._scheme, label),
            *self._groups(label),
            segment.weight(self.packed.table, self.packed.shape[:1], "int64"),
            segment.packed_parameter(self.packed),
            segment.float_parameter(self._bias),
        ]
        (segment.values[self._node.outputs[0]],) = segment.call(kernel, arguments, label)

    def _groups(self, label: str) -> list[Expr]:
        """Return the choice itself for one token, and for a chunk what groups it by expert."""
        segment, routing = self._segment, self._routing
        if segment.static_rows == 1:
            return [routing]
        kernel = segment.kernel(
            group_by_expert, experts=self.packed.shape[0], k=self.k, n=segment.static_rows
        )
        return segment.once(
            ("groups", routing), lambda: segment.call(kernel, [routing], f"{label}/group")
        )
