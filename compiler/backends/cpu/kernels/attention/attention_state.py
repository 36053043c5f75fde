"""What a softmax over keys has added up so far.

The softmax is built up tile by tile (Milakov and Gimelshein 2018; FlashAttention): what is added up
so far is rescaled when a larger score comes. Scores are compared before they are scaled. The
largest score begins with the head's sink, or with the smallest number, so it is finite before the
first key.
"""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import Row, Rows, RowValues
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr


class State:
    """For each row the largest score, the sum of exponentials, and the sum of weighted values."""

    def __init__(self, rows: Rows, values: RowValues, most_tokens: int) -> None:
        self.rows = rows
        self.values = values
        count = most_tokens * rows.shape.shared
        self._largest = T.alloc_buffer((count,), "float32")
        self._totals = T.alloc_buffer((count, v.LANES), "float32")

    def clear(self) -> None:
        """Emit the state before the first key; the sink's own term is not in it."""
        for token in self.rows.each_token():
            for row in self.rows.each_row(token):
                v.store(self._largest, row.number, value=self.rows.first_score(row), lanes=1)
                v.store(self._totals, row.number, 0, value=v.constant(0, "float32x8"))
                self.values.clear(row)

    def raise_largest(self, row: Row, score: Expr) -> Expr:
        """Emit a rescaling if a score is larger than all before; returns the largest."""
        before = self.largest(row)
        with T.If(score > before), T.Then():
            share = self.rows.share(before, score)
            v.store(self._largest, row.number, value=score, lanes=1)
            totals = v.load(self._totals, row.number, 0) * v.splat(share)
            v.store(self._totals, row.number, 0, value=totals)
            self.values.scale(row, share)
        return self.largest(row)

    def add_total(self, row: Row, terms: Expr) -> None:
        """Emit the addition of eight exponentials."""
        totals = v.load(self._totals, row.number, 0) + terms
        v.store(self._totals, row.number, 0, value=totals)

    def largest(self, row: Row) -> Expr:
        """Return a row's largest score."""
        return T.Bind(self._largest[row.number])

    def total(self, row: Row) -> Expr:
        """Return the sum of a row's exponentials."""
        return v.horizontal_sum(v.load(self._totals, row.number, 0))

    def finish(self) -> None:
        """Emit the division by the sum, to which a sink adds a term."""
        for token in self.rows.each_token():
            for row in self.rows.each_row(token):
                self.values.scale(row, v.constant(1, "float32") / self._sum(row))

    def _sum(self, row: Row) -> Expr:
        if self.rows.sinks is None:
            return self.total(row)
        sink = self.rows.share(self.rows.first_score(row), self.largest(row))
        return self.total(row) + sink
