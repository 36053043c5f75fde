"""bf16: two weights a word, the left column in the lower half."""

from ossc.compiler.backends.gpu.expressions import bits, u32
from ossc.compiler.backends.gpu.weights.format import WordFormat, row_bytes, widen_bf16
from ossc.compiler.lowering.kernel import Expr


def _values(word: Expr) -> list[Expr]:
    return [widen_bf16(word), bits(word & u32(0xFFFF0000), "float32")]


FORMAT = WordFormat(
    scheme="bf16",
    word_columns=2,
    blocks_per_scale_word=0,
    codes=lambda parts: row_bytes(parts[0]),
    scales=None,
    values=_values,
    scale=None,
)
