"""Normalization by the root of the mean square."""

from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="RmsNorm",
    summary="x over the root of its mean square + epsilon, times weight",
    inputs=(("x", "f32 [T, H]"), ("weight", "float [H]")),
    outputs=(("y", "f32 [T, H]"),),
    attributes=("epsilon",),
    body="""
        weight_f32 = Cast <to = 1> (weight)
        y = RMSNormalization <epsilon: float = @epsilon> (x, weight_f32)
    """,
)
