"""Products with the matrices of the chosen experts, each as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.checkpoint.views import transpose_matrices
from ossc.compiler.dialect import op_type
from ossc.compiler.passes.base import (
    FLOAT,
    PatternPass,
    float_scheme_of,
    fused_node,
    register_initializer,
)
from ossc.compiler.passes.pattern import Match, Pattern
from ossc.compiler.quantization import mxfp4
from ossc.compiler.quantization.scheme import QuantizationScheme

_BIAS = """
    chosen_bias = Gather <axis = 0> (bias, indices)
    bias_f32 = Cast <to = 1> (chosen_bias)
    y = Add (product, bias_f32)
"""


class FuseExpertLinear(PatternPass):
    """Replace the gathers, the widening, the product and the bias by one node.

    1. The weight is MXFP4 blocks ``[E, N, K/32, 16]``: ``Mxfp4ExpertLinear``.
    2. The weight is of a float type and transposed, ``[E, K, N]``: the ``ExpertLinear`` of that
       type, such as ``Bf16ExpertLinear``, of a weight ``[E, N, K]`` that is transposed when it is
       read.
    3. The weight or the bias is computed, or of another type or shape: leave it.
    """

    patterns: ClassVar = (
        Pattern(f"""(x, indices, blocks, scales, bias) => (y) {{
            chosen_blocks = Gather <axis = 0> (blocks, indices)
            chosen_scales = Gather <axis = 0> (scales, indices)
            matrix = ossc.Mxfp4Dequantize (chosen_blocks, chosen_scales)
            last_axis = Constant <value_ints = [-1]> ()
            x_column = Unsqueeze (x, last_axis)
            product_column = MatMul (matrix, x_column)
            product = Squeeze (product_column, last_axis)
            {_BIAS}
        }}"""),
        Pattern(f"""(x, indices, weight, bias) => (y) {{
            chosen = Gather <axis = 0> (weight, indices)
            matrix = Cast <to = 1> (chosen)
            row_axis = Constant <value_ints = [2]> ()
            x_row = Unsqueeze (x, row_axis)
            product_row = MatMul (x_row, matrix)
            product = Squeeze (product_row, row_axis)
            {_BIAS}
        }}"""),
    )

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1 or 2."""
        bias, blocks = match.values["bias"], match.values.get("blocks")
        if float_scheme_of(bias, rank=2) is None:  # case 3
            return None
        return _fuse_float(match) if blocks is None else _fuse_mxfp4(match, blocks)


def _fuse_mxfp4(match: Match, blocks: ir.Value) -> ir.Node | None:
    scales = match.values["scales"]
    if not (blocks.is_initializer() and scales.is_initializer()):  # case 3
        return None
    name = (blocks.name or "").removesuffix("_blocks")
    return _expert_linear(match, mxfp4.SCHEME, name, [blocks, scales])


def _fuse_float(match: Match) -> ir.Node | None:
    weight, graph = match.values["weight"], match.nodes[0].graph
    scheme = float_scheme_of(weight, rank=3)
    if scheme is None:  # case 3
        return None
    assert isinstance(graph, ir.Graph)
    assert weight.const_value is not None
    name = weight.name or ""
    upright = transpose_matrices(f"{name}.weight", weight.const_value)
    return _expert_linear(match, scheme, name, [register_initializer(graph, upright)])


def _expert_linear(
    match: Match, scheme: QuantizationScheme, name: str, parts: list[ir.Value]
) -> ir.Node:
    indices, bias = match.values["indices"], match.values["bias"]
    assert bias.shape is not None
    k = indices.shape[-1] if indices.shape else "num_experts_per_tok"
    return fused_node(
        op_type("ExpertLinear", scheme),
        [match.values["x"], indices, *parts, bias],
        name,
        outputs=[(FLOAT, ["tokens", k, bias.shape[-1]])],
    )
