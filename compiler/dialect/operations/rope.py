"""Rotary position embedding."""

from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="Rope",
    summary="each head rotated by its position: dimension d goes with d + hd/2",
    inputs=(("x", "f32 [T, heads hd]"), ("cos", "f32 [B, S, hd/2]"), ("sin", "f32 [B, S, hd/2]")),
    outputs=(("y", "f32 [T, heads hd]"),),
    attributes=("head_dim",),
    body="""
        vector = Constant <value_ints = [1]> ()
        hd_scalar = Constant <value_int: int = @head_dim> ()
        hd = Reshape (hd_scalar, vector)
        batch_sequence = Shape <start = 0, end = 2> (cos)
        all_heads = Constant <value_ints = [-1]> ()
        by_token_shape = Concat <axis = 0> (batch_sequence, all_heads, hd)
        by_token = Reshape (x, by_token_shape)
        by_head = Transpose <perm = [0, 2, 1, 3]> (by_token)
        rotated = RotaryEmbedding (by_head, cos, sin)
        rotated_by_token = Transpose <perm = [0, 2, 1, 3]> (rotated)
        x_shape = Shape (x)
        y = Reshape (rotated_by_token, x_shape)
    """,
)
