"""A packed matrix in a kernel, and the activations that it meets."""

from collections.abc import Callable
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import at_most
from ossc.compiler.backends.gpu.weights.format import (
    BLOCK,
    ROWS,
    PackedRow,
    PackedRows,
    WordFormat,
)
from ossc.compiler.lowering.kernel import Buffer, Expr

Column = Callable[[Expr], Expr]
"""A column's number → the activation there, float32."""


@dataclass(frozen=True)
class Matrix:
    """A matrix of packed rows, from some word of a buffer on."""

    weights: WordFormat
    buffer: Buffer
    columns: int
    begin: Expr | None = None
    """Its first word; None where it is the buffer's."""

    def row(self, group: Expr, lane: Expr) -> PackedRow:
        """Return one of the 16 rows of a group."""
        group_words = ROWS * self.weights.row_words(self.columns)
        word = group * group_words + lane
        begin = T.Bind(word if self.begin is None else self.begin + word)
        return PackedRow(self.weights, self.buffer, begin, self.columns)

    def rows(self, group: Expr) -> PackedRows:
        """Return the 16 rows of a group."""
        line = group * self.weights.row_words(self.columns)
        begin = T.Bind(line if self.begin is None else self.begin // ROWS + line)
        return PackedRows(self.weights, self.buffer, begin, self.columns)


def row_of(x: Buffer, *row: Expr) -> Column:
    """Return the columns of a row of activations; behind its end is its last one.

    There the weights are zeros, and so are the products.
    """
    columns = int(x.ty.shape[-1])

    def column(number: Expr) -> Expr:
        inside = number if columns % BLOCK == 0 else at_most(number, columns - 1)
        return x[(*row, inside)]

    return column
