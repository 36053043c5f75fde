"""f32: a word is a weight."""

from ossc.compiler.backends.gpu.expressions import bits
from ossc.compiler.backends.gpu.weights.format import WordFormat, row_bytes

FORMAT = WordFormat(
    scheme="f32",
    word_columns=1,
    blocks_per_scale_word=0,
    codes=lambda parts: row_bytes(parts[0]),
    scales=None,
    values=lambda word: [bits(word, "float32")],
    scale=None,
)
