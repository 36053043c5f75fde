"""The choice of experts."""

from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="Router",
    summary="the k experts of the largest logits x @ weight.T + bias, and their softmax",
    inputs=(("x", "f32 [T, H]"), ("weight", "float [E, H]"), ("bias", "float [E]")),
    outputs=(("indices", "i64 [T, k]"), ("weights", "f32 [T, k]")),
    attributes=("k",),
    body="""
        weight_f32 = Cast <to = 1> (weight)
        bias_f32 = Cast <to = 1> (bias)
        logits = Gemm <transB = 1> (x, weight_f32, bias_f32)
        k = Constant <value_int: int = @k> ()
        vector = Constant <value_ints = [1]> ()
        n_chosen = Reshape (k, vector)
        largest, indices = TopK <axis = -1, largest = 1, sorted = 1> (logits, n_chosen)
        weights = Softmax <axis = -1> (largest)
    """,
)
