"""Residual addition and the normalization that follows it."""

from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="AddRmsNorm",
    summary="sum = x + residual, and its RMS normalization times weight",
    inputs=(("x", "f32 [T, H]"), ("residual", "f32 [T, H]"), ("weight", "float [H]")),
    outputs=(("normed", "f32 [T, H]"), ("sum", "f32 [T, H]")),
    attributes=("epsilon",),
    body="""
        sum = Add (x, residual)
        weight_f32 = Cast <to = 1> (weight)
        normed = RMSNormalization <epsilon: float = @epsilon> (sum, weight_f32)
    """,
)
