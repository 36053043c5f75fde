"""KV cache in float16."""

from ossc.compiler.backends.gpu.expressions import Local, u32
from ossc.compiler.backends.gpu.kv_cache.half import to_half
from ossc.compiler.backends.gpu.weights.f16 import widen_f16
from ossc.compiler.lowering.kernel import Expr

COLUMNS = 2
"""Of a word; the first one is the low half."""

SCALE_COLUMNS = 0
"""Columns that share a scale; 0: there are none."""


def encode(row: Local, word: Expr) -> Expr:
    """Return a word of a row ``[head_dim]`` of float32, zeros behind it."""
    low, high = (to_half(row[word * COLUMNS + i]) for i in range(COLUMNS))
    return low | (high << u32(16))


def decode(word: Expr, scale: Expr | None) -> list[Expr]:
    """Return the columns of a word."""
    del scale
    return [widen_f16(word), widen_f16(word >> u32(16))]
