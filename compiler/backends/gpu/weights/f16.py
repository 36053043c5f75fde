"""f16: two weights a word, the left column in the lower half."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import bits, f32, select, u32
from ossc.compiler.backends.gpu.weights.format import WordFormat, row_bytes
from ossc.compiler.lowering.kernel import Expr

_EXPONENT = 0x7C00 << 13
_REBIAS = (127 - 15) << 23
"""Added to the exponent of a float16, it is that of a float32."""


def widen_f16(half: Expr) -> Expr:
    """Return the float32 of a float16's bits, which are the lower half of a uint32, exactly.

    No subnormal float32 is met on the way: devices may take them for zero. A subnormal float16 is
    the difference between a normal number of the same mantissa, and that without mantissa.
    """
    shifted = T.Bind((half & u32(0x7FFF)) << u32(13))
    exponent = T.Bind(shifted & u32(_EXPONENT))
    rebiased = shifted + select(exponent.equal(u32(_EXPONENT)), u32(2 * _REBIAS), u32(_REBIAS))
    subnormal = bits(shifted + u32(_REBIAS + (1 << 23)), "float32") - f32(2.0**-14)
    magnitude = select(exponent.equal(u32(0)), bits(subnormal, "uint32"), rebiased)
    return bits(magnitude | ((half & u32(0x8000)) << u32(16)), "float32")


FORMAT = WordFormat(
    scheme="f16",
    word_columns=2,
    blocks_per_scale_word=0,
    codes=lambda parts: row_bytes(parts[0]),
    scales=None,
    values=lambda word: [widen_f16(word), widen_f16(word >> u32(16))],
    scale=None,
)
