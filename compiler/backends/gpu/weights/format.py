"""What a scheme must say about its weights as 32-bit words: packing, and the code that decodes.

No GPU language but OpenCL and CUDA has shorter types, so words they are for all. Sixteen rows lie
together: first the words of their scales, then those of their codes, each word of a row beside the
same word of the other rows. So neighbouring work-items, which take neighbouring rows, read
neighbouring words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import bits, shift_left, u32
from ossc.compiler.lowering.kernel import Buffer, Expr

BLOCK = 32
"""Columns that share one scale."""

ROWS = 16
"""Rows that lie together."""

Words = NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class WordFormat:
    """A scheme's packed form: a row is blocks of 32 columns, the last one filled with zeros."""

    scheme: str

    word_columns: int
    """Columns of one word."""

    blocks_per_scale_word: int
    """Blocks whose scales share a word; 0 where codes are the values."""

    codes: Callable[[Sequence[NDArray[Any]]], NDArray[np.uint8]]
    """The parts of ``[N, K]`` → the bytes of the codes of each row, zeros behind its end."""

    scales: Callable[[Sequence[NDArray[Any]]], NDArray[np.uint8]] | None
    """The parts → the bytes of each row's scales, in the order of the blocks."""

    values: Callable[[Expr], list[Expr]]
    """A word → its columns without their scale, float32."""

    scale: Callable[[Expr, Expr], Expr] | None
    """``(word, place)`` → the scale of a block at its place in a word, float32."""

    look_up: str | None = None
    """The function of OpenCL C for CPUs that gives the values of the lowest codes of sixteen words,
    where that takes fewer instructions than ``values``: see ``backends/opencl/lookups.cl``."""

    @property
    def block_words(self) -> int:
        """Words of the codes of a block of one row."""
        return BLOCK // self.word_columns

    def scale_words(self, columns: int) -> int:
        """Return the words of the scales of one row."""
        per_word = self.blocks_per_scale_word
        return -(-count_blocks(columns) // per_word) if per_word else 0

    def row_words(self, columns: int) -> int:
        """Return the words of one row."""
        return self.scale_words(columns) + count_blocks(columns) * self.block_words

    def matrix_words(self, rows: int, columns: int) -> int:
        """Return the words of a matrix; the last group of rows is filled with zeros."""
        return -(-rows // ROWS) * ROWS * self.row_words(columns)

    def pack(self, parts: Sequence[NDArray[Any]], columns: int) -> Words:
        """Pack some rows of a matrix.

        Args:
            parts: Of ``[N, K]``. Only the last slice of a matrix may have a number of rows that is
                no multiple of 16; rows of zeros are added to it.
            columns: K.

        Returns:
            The words that follow those of the rows before.
        """
        sizes = count_blocks(columns) * self.block_words, self.scale_words(columns)
        words = [as_words(self.codes(parts), sizes[0])]
        if self.scales is not None:
            words.insert(0, as_words(self.scales(parts), sizes[1]))
        rows = np.concatenate(words, axis=1)  # [N, row words]
        padded = np.pad(rows, ((0, -len(rows) % ROWS), (0, 0)))
        grouped = padded.reshape(-1, ROWS, rows.shape[1]).transpose(0, 2, 1)
        return np.ascontiguousarray(grouped).reshape(-1)


def count_blocks(columns: int) -> int:
    """Return the blocks of a row; the last may be short."""
    return -(-columns // BLOCK)


def as_words(data: NDArray[np.uint8], words: int) -> Words:
    """View the bytes of each row, ``[N, bytes]``, as so many words, zeros behind its end."""
    missing = 4 * words - data.shape[1]
    return np.pad(np.ascontiguousarray(data), ((0, 0), (0, missing))).view("<u4")


def row_bytes(part: NDArray[Any]) -> NDArray[np.uint8]:
    """View the elements of each row as bytes."""
    return np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8)


@dataclass(frozen=True)
class PackedRow:
    """One row of a packed matrix in a kernel."""

    weights: WordFormat
    buffer: Buffer
    begin: Expr
    """Where the words of its sixteen rows begin, with the row's own number among them added."""
    columns: int

    def word(self, block: Expr, number: int | Expr) -> Expr:
        """Return a word of the codes of a block."""
        scales = self.weights.scale_words(self.columns)
        return self._word(block * self.weights.block_words + number + scales)

    def values(self, word: Expr) -> list[Expr]:
        """Return the columns of a word without their scale, float32."""
        return self.weights.values(word)

    def scale(self, block: Expr) -> Expr | None:
        """Return the scale of a block, float32; None where codes are the values."""
        per_word, scale = self.weights.blocks_per_scale_word, self.weights.scale
        if scale is None:
            return None
        return scale(self._word(block // per_word), block % per_word)

    def _word(self, number: Expr) -> Expr:
        return T.Bind(self.buffer[self.begin + number * ROWS])


@dataclass(frozen=True)
class PackedRows(PackedRow):
    """The sixteen rows that lie together: each word is a vector, and so is each scale.

    Here ``begin`` counts sixteens of words: TVM then sees that the words are neighbours which begin
    at a multiple of their number, and else it would read each on its own.
    """

    def values(self, word: Expr) -> list[Expr]:
        """Return the columns of sixteen words, which are vectors."""
        name, columns = self.weights.look_up, self.weights.word_columns
        if name is None:
            return self.weights.values(word)
        codes = [shift_left(word, -i * (32 // columns)) for i in range(columns)]
        return [T.call_pure_extern(f"float32x{ROWS}", name, each) for each in codes]

    def _word(self, number: Expr) -> Expr:
        return T.Bind(self.buffer[T.Ramp((self.begin + number) * ROWS, 1, ROWS)])


def widen_bf16(half: Expr) -> Expr:
    """Return the float32 of a bfloat16's bits, which are the lower half of a uint32."""
    return bits(half << u32(16), "float32")


def bf16_scale(word: Expr, place: Expr) -> Expr:
    """Return one of the two bfloat16 of a word."""
    return widen_bf16(word >> (place * 16).astype("uint32"))
