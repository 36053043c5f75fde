"""Products with the matrices of the chosen experts."""

from ossc.compiler.dialect.bodies.expert_product import SHARED, TRANSPOSED, expert_product_body
from ossc.compiler.dialect.operation import Operation, WeightInput

OPERATION = Operation(
    name="ExpertLinear",
    summary="weight @ x of each chosen expert, and its bias added to it",
    inputs=(
        ("x", "f32 [T, k, K], or [T, K] if shared"),
        ("indices", "i64 [T, k]"),
        ("weight", "[E, N, K], or [E, K, N] if transposed"),
    ),
    optional=(("bias", "float [E, N]"),),
    outputs=(("y", "f32 [T, k, N]"),),
    variants=(SHARED, TRANSPOSED),
    weight=WeightInput(index=2, tensor_class="experts", gathered_by="indices"),
    body=lambda options: expert_product_body(options, "y"),
)
