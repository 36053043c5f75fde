"""mxfp4: eight E2M1 codes a word, and scales that are powers of two (E8M0), four blocks a word.

Codes are decoded to twice their value, so the scale is packed halved, its exponent less one. The
two smallest scales, 2^-127 and 2^-126, are packed as zero: halved they are not normal numbers. The
scale NaN (255) is refused: no model computes anything with it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import bits, f32, shift_left, u32
from ossc.compiler.backends.gpu.weights.format import WordFormat, row_bytes
from ossc.compiler.lowering.kernel import Expr
from ossc.targets.errors import LoweringError

_NAN_SCALE = 255


def _scales(parts: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    scales: NDArray[np.uint8] = parts[1]
    if (scales == _NAN_SCALE).any():
        raise LoweringError(
            "An MXFP4 scale of the weights is 255, which stands for NaN; use weights without NaN."
        )
    halved: NDArray[np.uint8] = np.maximum(scales, 1) - np.uint8(1)
    return halved


def _values(word: Expr) -> list[Expr]:
    return [_doubled(word, i) for i in range(8)]


def _doubled(word: Expr, number: int) -> Expr:
    """Return twice the value of a code, without a table and without subnormal numbers.

    Exponent and mantissa, put where those of a float32 are, give g = 1, 1.5, 2, 3, 4, 6, 8, 12 for
    0, 1, 2, 3, 4, 6, 8, 12: what is wanted is the smaller one of g and 2 · g - 2. None is negative,
    so that their bits are compared, which takes one instruction where NaN is no matter.
    """
    sign = shift_left(word, 28 - 4 * number) & u32(1 << 31)
    size = shift_left(word, 22 - 4 * number) & u32(0x1C00000)
    raised = T.Bind(bits(size + u32(127 << 23), "float32"))
    lowered = bits(raised * f32(2) - f32(2), "int32")
    magnitude = tirx.Min(bits(raised, "int32"), lowered)
    return bits(bits(magnitude, "uint32") | sign, "float32")


def _scale(word: Expr, place: Expr) -> Expr:
    exponent = (word >> (place * 8).astype("uint32")) & u32(0xFF)
    return bits(exponent << u32(23), "float32")


FORMAT = WordFormat(
    scheme="mxfp4",
    word_columns=8,
    blocks_per_scale_word=4,
    codes=lambda parts: row_bytes(parts[0]),
    scales=_scales,
    values=_values,
    scale=_scale,
    look_up="ossc_values_of_e2m1",
)
