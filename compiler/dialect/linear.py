"""Products with a dense matrix, with a bias and without."""

from ossc.compiler.dialect.operation import Operation, WeightInput

LINEAR = Operation(
    name="Linear",
    summary="x @ weight.T + bias",
    inputs=(("x", "f32 [T, K]"), ("weight", "[N, K]"), ("bias", "float [N]")),
    outputs=(("y", "f32 [T, N]"),),
    weight=WeightInput(index=1, tensor_class="dense"),
    body="""
        bias_f32 = Cast <to = 1> (bias)
        y = Gemm <transB = 1> (x, matrix, bias_f32)
    """,
)

MAT_MUL = Operation(
    name="MatMul",
    summary="x @ weight.T, the head",
    inputs=(("x", "f32 [T, K]"), ("weight", "[N, K]")),
    outputs=(("y", "f32 [T, N]"),),
    weight=WeightInput(index=1, tensor_class="head"),
    body="y = Gemm <transB = 1> (x, matrix)",
)
