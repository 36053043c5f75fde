"""KV cache in float32."""

from ossc.compiler.backends.gpu.expressions import Local, bits
from ossc.compiler.lowering.kernel import Expr

COLUMNS = 1
"""Of a word."""

SCALE_COLUMNS = 0
"""Columns that share a scale; 0: there are none."""


def encode(row: Local, word: Expr) -> Expr:
    """Return a word of a row ``[head_dim]`` of float32."""
    return bits(row[word], "uint32")


def decode(word: Expr, scale: Expr | None) -> list[Expr]:
    """Return the columns of a word."""
    del scale
    return [bits(word, "float32")]
