"""The sum of the chosen experts' results."""

from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="CombineExperts",
    summary="the sum of the experts' results, each times its weight",
    inputs=(("x", "f32 [T, k, H]"), ("weights", "f32 [T, k]")),
    outputs=(("y", "f32 [T, H]"),),
    body="""
        last_axis = Constant <value_ints = [-1]> ()
        slots = Constant <value_ints = [1]> ()
        weights_column = Unsqueeze (weights, last_axis)
        weighted = Mul (x, weights_column)
        y = ReduceSum <keepdims = 0> (weighted, slots)
    """,
)
