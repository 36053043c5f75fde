"""A product with a dense matrix."""

from ossc.compiler.dialect.bodies.product import product_body
from ossc.compiler.dialect.operation import Operation, WeightInput

OPERATION = Operation(
    name="Linear",
    summary="x @ weight.T, and bias added to it",
    inputs=(("x", "f32 [T, K]"), ("weight", "[N, K]")),
    optional=(("bias", "float [N]"),),
    outputs=(("y", "f32 [T, N]"),),
    attributes=("tensor_class",),
    weight=WeightInput(index=1),
    body=lambda options: product_body(options, "matrix", "y"),
)
