"""int8-g32: four signed bytes a word, and bfloat16 scales, those of two blocks a word."""

from ossc.compiler.backends.gpu.expressions import bits, convert, i32, u32
from ossc.compiler.backends.gpu.weights.format import WordFormat, bf16_scale, row_bytes
from ossc.compiler.lowering.kernel import Expr


def _values(word: Expr) -> list[Expr]:
    return [convert(_signed(word << u32(24 - 8 * i)), "float32") for i in range(4)]


def _signed(word: Expr) -> Expr:
    """Return the upper byte as a signed number."""
    return bits(word, "int32") >> i32(24)


FORMAT = WordFormat(
    scheme="int8-g32",
    word_columns=4,
    blocks_per_scale_word=2,
    codes=lambda parts: row_bytes(parts[0]),
    scales=lambda parts: row_bytes(parts[1]),
    values=_values,
    scale=bf16_scale,
)
