"""int4-g32: eight codes a word, and bfloat16 scales, those of two blocks a word.

Codes are stored with 8 added; packed they are two's complement, which two shifts decode.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.backends.gpu.expressions import bits, convert, i32, u32
from ossc.compiler.backends.gpu.weights.format import WordFormat, bf16_scale, row_bytes
from ossc.compiler.lowering.kernel import Expr

_SIGN_BITS = 0x88
"""Of both codes of a byte: turned over, a code plus 8 becomes two's complement."""


def _codes(parts: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    return row_bytes(parts[0]) ^ np.uint8(_SIGN_BITS)


def _values(word: Expr) -> list[Expr]:
    return [convert(_signed(word << u32(28 - 4 * i)), "float32") for i in range(8)]


def _signed(word: Expr) -> Expr:
    """Return the upper four bits as a signed number."""
    return bits(word, "int32") >> i32(28)


FORMAT = WordFormat(
    scheme="int4-g32",
    word_columns=8,
    blocks_per_scale_word=2,
    codes=_codes,
    scales=lambda parts: row_bytes(parts[1]),
    values=_values,
    scale=bf16_scale,
    look_up="ossc_values_of_int4",
)
