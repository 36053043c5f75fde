"""Attention over the cache and the tokens of this call."""

from ossc.compiler.dialect.bodies.attention import (
    ATTRIBUTES,
    CACHE_INPUTS,
    OPTIONAL,
    OUTPUTS,
    SIZES,
    attention_body,
)
from ossc.compiler.dialect.operation import Operation

OPERATION = Operation(
    name="Attention",
    summary=(
        "appends keys and values to the cache, and attends; query i sees keys i - window < j <= i "
        "(window 0: all j <= i); exp(sink) joins the softmax's denominator"
    ),
    inputs=(
        ("query", "f32 [T, nh hd]"),
        ("key", "f32 [T, nkv hd]"),
        ("value", "f32 [T, nkv hd]"),
        *CACHE_INPUTS,
    ),
    optional=OPTIONAL,
    outputs=OUTPUTS,
    attributes=ATTRIBUTES,
    body=lambda options: SIZES + attention_body(options),
)
