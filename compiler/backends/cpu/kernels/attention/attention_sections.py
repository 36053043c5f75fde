"""Sections: the keys of 512 neighbouring positions, which are attended to apart and then joined.

They are what threads share when one token sees many keys (flash-decoding). They lie at multiples of
512, and every form of attention joins them in order, so a token's result depends neither on how
many tokens are computed with it nor on the number of threads.
"""

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import (
    Row,
    Rows,
    RowValues,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr

SECTION = 512
"""Positions of a section."""


def has_sections(shape: AttentionShape, capacity: int) -> bool:
    """Say whether a token can see more keys than a section has."""
    return (shape.window or capacity) > SECTION


def most_sections(shape: AttentionShape, capacity: int) -> int:
    """Return how many sections a token sees at most."""
    if shape.window:
        return (shape.window - 2) // SECTION + 2
    return -(-capacity // SECTION)


def numbers(seen: Span) -> tuple[Expr, Expr]:
    """Return the number of the first section of a span, and how many there are."""
    first = T.Bind(seen.begin // SECTION)
    return first, T.Bind((seen.end - 1) // SECTION + 1 - first)


def section(number: Expr, seen: Span) -> Span:
    """Return the positions of a section that are in a span."""
    first = T.Bind(number * SECTION)
    begin = v.keep(tvm.tirx.Max(seen.begin, first))
    return Span(begin=begin, end=v.keep(tvm.tirx.Min(seen.end, first + SECTION)))


class Joined:
    """What the sections so far make together, for each row: largest score, sum, weighted values.

    The sink, if there is one, is the first term.
    """

    def __init__(self, rows: Rows, values: RowValues, most_tokens: int) -> None:
        self._rows = rows
        self._values = values
        count = most_tokens * rows.shape.shared
        self._largest = T.alloc_buffer((count,), "float32")
        self._totals = T.alloc_buffer((count,), "float32")

    def clear(self) -> None:
        """Emit what there is before the first section."""
        terms = 0 if self._rows.sinks is None else 1
        for token in self._rows.each_token():
            for row in self._rows.each_row(token):
                v.store(self._largest, row.number, value=self._rows.first_score(row), lanes=1)
                v.store(self._totals, row.number, value=v.constant(terms, "float32"), lanes=1)
                self._values.clear(row)

    def add(self, row: Row, largest: Expr, total: Expr, values: RowValues) -> None:
        """Emit the addition of a row's section."""
        before = T.Bind(self._largest[row.number])
        together = v.larger(before, largest)
        old, new = (self._rows.share(score, together) for score in (before, largest))
        v.store(self._largest, row.number, value=together, lanes=1)
        total = v.multiply_add(self._totals[row.number], old, total * new)
        v.store(self._totals, row.number, value=total, lanes=1)
        for at, lanes in v.spans(self._values.head_dim):
            part = values.load(row, at, lanes) * v.splat(new, lanes)
            sums = v.multiply_add(self._values.load(row, at, lanes), v.splat(old, lanes), part)
            self._values.store(row, at, sums, lanes)

    def finish(self) -> None:
        """Emit the division by the sum."""
        for token in self._rows.each_token():
            for row in self._rows.each_row(token):
                total = T.Bind(self._totals[row.number])
                self._values.scale(row, v.constant(1, "float32") / total)
