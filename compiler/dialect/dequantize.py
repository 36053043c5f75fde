"""A quantized weight back in float32; the file of its scheme says how."""

from ossc.compiler.dialect.operation import Operation, WeightInput

OPERATION = Operation(
    name="Dequantize",
    summary="the weight in float32",
    inputs=(("weight", "[..., N, K]"),),
    outputs=(("y", "f32 [..., N, K]"),),
    weight=WeightInput(index=0, tensor_class=None),
    body="",  # it is the scheme's own
)
