"""What integer activations are, in ONNX: the numbers that a bundle's products really multiply.

``round_activations`` puts the rounding into a quantized graph, so that onnxruntime computes what a
bundle computes, but for the order of float32 sums.
"""

import onnx
import onnx_ir as ir

from ossc.compiler.dialect.call import as_call

PRODUCTS = ("Linear", "LinearGlu", "ExpertGlu", "ExpertLinear")
"""Operations whose first input is rounded where their weights are integer codes."""

INTEGER_SCHEMES = ("mxfp4", "int4-g32", "int8-g32")

FUNCTION_DOMAIN = "ossc.test"

CODE_RANGE = {"int8": 127, "int8x2": 127 * 254}
"""Largest code of each activation type; two terms are high · 254 + low."""

ROUND_TO_CODES = f"""
<domain: "{FUNCTION_DOMAIN}", opset_import: ["": 24]> RoundToCodes <code_range> (x) => (y) {{
    shape = Shape (x)
    columns = Shape <start = -1> (x)
    rows_shape = Constant <value_ints = [-1, 32]> ()
    block = Constant <value_ints = [32]> ()
    zero = Constant <value_ints = [0]> ()
    axes = Constant <value_ints = [-1]> ()
    past = Mod (columns, block)
    missing = Sub (block, past)
    added = Mod (missing, block)
    pads = Concat <axis = 0> (zero, added)
    padded = Pad (x, pads, , axes)
    padded_shape = Shape (padded)
    blocks = Reshape (padded, rows_shape)
    magnitudes = Abs (blocks)
    largest = ReduceMax (magnitudes, axes)
    code_range = Constant <value_float: float = @code_range> ()
    none = Constant <value_float = 0.0> ()
    is_zero = Equal (largest, none)
    reciprocal = Div (code_range, largest)
    factor = Where (is_zero, none, reciprocal)
    scaled = Mul (blocks, factor)
    codes = Round (scaled)
    scale = Div (largest, code_range)
    values = Mul (codes, scale)
    flat = Reshape (values, padded_shape)
    y = Slice (flat, zero, columns, axes)
}}
"""
"""Blocks of 32 along the last axis, each scaled to codes by its largest magnitude."""


def round_activations(model: ir.Model, activations: str) -> ir.Model:
    """Round what enters the products of a quantized graph with weights that are integer codes.

    Args:
        model: After all passes; it is changed.
        activations: Their type.
    """
    function = ir.serde.deserialize_function(onnx.parser.parse_function(ROUND_TO_CODES))
    model.functions[function.identifier()] = function
    model.graph.opset_imports[FUNCTION_DOMAIN] = 1
    attributes = {"code_range": float(CODE_RANGE[activations])}
    for node in tuple(model.graph):
        call = as_call(node, *PRODUCTS)
        if call is not None and call.format is not None and call.format.name in INTEGER_SCHEMES:
            rounded = ir.node("RoundToCodes", [node.inputs[0]], attributes, domain=FUNCTION_DOMAIN)
            model.graph.insert_before(node, rounded)
            node.replace_input_with(0, rounded.outputs[0])
    return model
