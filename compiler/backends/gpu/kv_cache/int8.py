"""KV cache in int8: codes of -127 to 127, and a float32 scale for every 32 columns.

Scales and codes are made as on the CPU (docs/decisions/0006), so that both hold the same numbers.
"""

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, Registers, bits, f32, i32, select, u32
from ossc.compiler.lowering.kernel import Expr

COLUMNS = 4
"""Of a word; the first one is the low byte."""

SCALE_COLUMNS = 32
"""Columns of a key or value that share a scale."""

LARGEST_CODE = 127

SMALLEST_BITS = (127 - 100) << 23
"""Of 2^-100. Columns whose largest magnitude is below it become zeros: its reciprocal is still
finite."""

WORDS = SCALE_COLUMNS // COLUMNS
"""That share a scale."""


def encode(row: Local, word: Expr) -> Expr:
    """Return a word of a row ``[head_dim]`` of float32, zeros behind it."""
    _, factor = _scale_and_factor(row, word // WORDS)
    result = u32(0)
    for i in range(COLUMNS):
        code = tirx.nearbyint(row[word * COLUMNS + i] * factor).astype("int32")
        result = result | ((code.astype("uint32") & u32(0xFF)) << u32(8 * i))
    return result


def scale(row: Local, group: Expr) -> Expr:
    """Return the scale of a group of a row's columns."""
    return _scale_and_factor(row, group)[0]


def decode(word: Expr, scale: Expr | None) -> list[Expr]:
    """Return the columns of a word."""
    assert scale is not None
    signed = T.Bind(bits(word, "int32"))
    lifted = [signed << i32(24 - 8 * i) for i in range(COLUMNS)]
    return [T.Bind((code >> i32(24)).astype("float32") * scale) for code in lifted]


def _scale_and_factor(row: Local, group: Expr) -> tuple[Expr, Expr]:
    """Return the scale of some columns, and what they are multiplied with to become codes.

    Where one is infinite or NaN the scale is so too: what is decoded does not look finite.
    """
    largest = Registers(1, "int32")
    largest.clear()
    with T.serial(SCALE_COLUMNS) as column:
        size = bits(row[group * SCALE_COLUMNS + column], "int32") & i32(0x7FFFFFFF)
        largest[0] = tirx.Max(largest[0], T.Bind(size))
    size = T.Bind(bits(largest[0], "float32"))
    usable = largest[0] >= i32(SMALLEST_BITS)
    scale = T.Bind(select(usable, size / f32(LARGEST_CODE), f32(0)))
    return scale, T.Bind(select(usable, f32(LARGEST_CODE) / size, f32(0)))
