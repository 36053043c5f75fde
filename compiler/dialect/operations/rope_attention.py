"""Rotary embedding and attention of one product's columns."""

from ossc.compiler.dialect.bodies.attention import (
    ATTRIBUTES,
    CACHE_INPUTS,
    OPTIONAL,
    OUTPUTS,
    SIZES,
    attention_body,
)
from ossc.compiler.dialect.operation import Operation, Options

_ROTATED = """
    columns = Concat <axis = 0> (query_columns, key_columns, key_columns)
    flat_query, flat_key, value = Split <axis = -1> (qkv, columns)
    tokens = Shape (position_ids)
    rope_query_shape = Concat <axis = 0> (tokens, nh, hd)
    rope_key_shape = Concat <axis = 0> (tokens, nkv, hd)
    unrotated_query_by_token = Reshape (flat_query, rope_query_shape)
    unrotated_key_by_token = Reshape (flat_key, rope_key_shape)
    unrotated_query = Transpose <perm = [0, 2, 1, 3]> (unrotated_query_by_token)
    unrotated_key = Transpose <perm = [0, 2, 1, 3]> (unrotated_key_by_token)
    rotated_query = RotaryEmbedding (unrotated_query, cos, sin)
    rotated_key = RotaryEmbedding (unrotated_key, cos, sin)
    rotated_query_by_token = Transpose <perm = [0, 2, 1, 3]> (rotated_query)
    rotated_key_by_token = Transpose <perm = [0, 2, 1, 3]> (rotated_key)
    flat_query_shape = Shape (flat_query)
    flat_key_shape = Shape (flat_key)
    query = Reshape (rotated_query_by_token, flat_query_shape)
    key = Reshape (rotated_key_by_token, flat_key_shape)
"""


def _body(options: Options) -> str:
    return SIZES + _ROTATED + attention_body(options)


OPERATION = Operation(
    name="RopeAttention",
    summary=(
        "the Attention of the columns of qkv (all query heads, then those of the keys, then those "
        "of the values), queries and keys rotated as by Rope"
    ),
    inputs=(
        ("qkv", "f32 [T, (nh + 2 nkv) hd]"),
        ("cos", "f32 [B, S, hd/2]"),
        ("sin", "f32 [B, S, hd/2]"),
        *CACHE_INPUTS,
    ),
    optional=OPTIONAL,
    outputs=OUTPUTS,
    attributes=ATTRIBUTES,
    body=_body,
)
