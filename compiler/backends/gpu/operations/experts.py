"""The mixture of experts: the experts' two products.

One token calls its experts directly. A chunk first groups its (token, slot) pairs by expert, so
that an expert's weights are read once for a tile of tokens that chose it.
"""

from collections.abc import Callable

import numpy as np

from ossc.compiler.backends.gpu.kernel_table import KERNELS
from ossc.compiler.backends.gpu.operations.dense import word_parameter
from ossc.compiler.backends.gpu.packed import WordMatrix, expert_glu_weight, expert_weight
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.call_weights import bias_operands, glu_of, scheme_of, weight_tensors
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.operations.experts import chosen_pairs, require_fused
from ossc.compiler.lowering.segment import SegmentBuilder
from ossc.compiler.lowering.standard import operand
from ossc.compiler.lowering.weight_rows import Tensors
from ossc.compiler.lowering.weights import PackedWeight, as_bytes
from ossc.compiler.quantization.scheme import QuantizationScheme


def lower_expert_glu(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``ExpertGlu``."""
    product = _ExpertProduct(segment, call, expert_glu_weight)
    experts, rows, columns = product.packed.shape
    kernel = KERNELS.kernel(
        segment,
        "ExpertGlu",
        scheme=product.scheme.name,
        experts=experts,
        intermediate=rows // 2,
        hidden=columns,
        k=product.k,
        glu=glu_of(call),
        bias="bias" in call.options,
        n=segment.static_rows,
    )
    product.call(kernel)


def lower_expert_linear(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``ExpertLinear``.

    Raises:
        LoweringError: Its weight is transposed, or its experts share a vector.
    """
    require_fused(call)
    product = _ExpertProduct(segment, call, expert_weight)
    experts, rows, columns = product.packed.shape
    kernel = KERNELS.kernel(
        segment,
        "ExpertLinear",
        scheme=product.scheme.name,
        experts=experts,
        hidden=rows,
        intermediate=columns,
        k=product.k,
        bias="bias" in call.options,
        n=segment.static_rows,
    )
    product.call(kernel)


class _ExpertProduct:
    """What the two products share: activations, routing, packed weight and bias."""

    def __init__(
        self,
        segment: SegmentBuilder,
        call: Call,
        pack: Callable[[QuantizationScheme, Tensors], WordMatrix],
    ) -> None:
        self._segment, self._call, self.scheme = segment, call, scheme_of(call)
        self._routing = operand(segment, call.input("indices"))
        self.packed = pack(self.scheme, weight_tensors(call))
        self.k = int(self._routing.ty.shape[1])

    def call(self, kernel: Kernel) -> None:
        """Emit the kernel's call as the node's value."""
        segment, call = self._segment, self._call
        arguments = [
            operand(segment, call.input("x")),
            *chosen_pairs(KERNELS, segment, self._routing, self.packed.shape[0], call.name),
            segment.weight(expert_table(self.packed), self.packed.shape[:1], "int32"),
            word_parameter(segment, self.packed),
            *bias_operands(segment, call),
        ]
        (segment.values[call.node.outputs[0]],) = segment.call(kernel, arguments, call.name)


def expert_table(packed: WordMatrix) -> PackedWeight:
    """Describe where each expert begins: int32 ``[E]``, in words from the weight's own begin."""
    experts = packed.shape[0]
    values = (np.arange(experts) * (packed.words // experts)).astype("<i4")
    return PackedWeight(
        name=f"{packed.name}.table",
        size_bytes=values.nbytes,
        scheme="int32",
        pieces=lambda: iter([as_bytes(values)]),
    )
