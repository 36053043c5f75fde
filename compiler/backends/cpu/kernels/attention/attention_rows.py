"""The rows of an attention kernel: the queries of some tokens that share a key-value head."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.vector_math import exp_of_negative
from ossc.compiler.lowering.kernel import Buffer, Expr

SMALLEST_SCORE = -3.4028234663852886e38
"""The smallest float32: below it is only the score of a key that is not seen."""


@dataclass(frozen=True)
class Vectors:
    """How many sums an instruction set has registers for, and how wide they are."""

    lanes: int

    @property
    def most_heads(self) -> int:
        """Query heads that are worked on together."""
        return 4 if self.lanes == v.LANES else 8

    def at_once(self, heads: int) -> int:
        """Return how many vectors of keys, or of a value's columns, some heads are multiplied with.

        Eight sums or more, so that a CPU that starts two multiplications a cycle, and has each done
        after four, is never idle; and no more than leave registers for the operands.
        """
        return 2 if heads > self.most_heads // 2 else 4


@dataclass(frozen=True, kw_only=True)
class Row:
    """One head, counted among those that share the key-value head, of one token."""

    token: Expr
    head: Expr
    number: Expr
    """Among all rows, token by token."""


@dataclass(frozen=True, kw_only=True)
class Heads:
    """Neighbouring heads of one token that are worked on together."""

    token: Expr
    first: Expr
    count: int

    last: bool
    """Whether no head of the token comes after them."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """``tokens`` tokens from ``first_token`` on, each with the query heads of a key-value head."""

    shape: AttentionShape
    queries: Buffer
    sinks: Buffer | None
    positions: Buffer
    kv_head: Expr
    first_token: Expr
    tokens: Expr
    vectors: Vectors

    def of(self, kv_head: Expr) -> "Rows":
        """Return the rows of another key-value head."""
        return replace(self, kv_head=kv_head)

    def each_token(self) -> Iterator[Expr]:
        """Emit a loop over the tokens, if there can be several."""
        if isinstance(self.tokens, int) and self.tokens == 1:
            yield v.constant(0, "int32")
        else:
            with T.serial(self.tokens) as token:
                yield token

    def each_row(self, token: Expr) -> Iterator[Row]:
        """Emit a loop over a token's rows."""
        with T.serial(self.shape.shared) as head:
            yield self.row(token, head)

    def row(self, token: Expr, head: Expr) -> Row:
        """Return a row."""
        return Row(token=token, head=head, number=T.Bind(token * self.shape.shared + head))

    def blocks(self, token: Expr) -> Iterator[Heads]:
        """Emit loops over a token's heads, in groups that are alike in size."""
        shared = self.shape.shared
        groups = -(-shared // self.vectors.most_heads)
        smaller, larger_groups = divmod(shared, groups)
        first = 0
        for count, repeats in ((smaller + 1, larger_groups), (smaller, groups - larger_groups)):
            if repeats:
                with T.serial(repeats) as index:
                    start = T.Bind(index * count + first)
                    last = first + count * repeats == shared
                    yield Heads(token=token, first=start, count=count, last=last)
            first += count * repeats

    def sees(self, token: Expr) -> Span:
        """Return the positions that a token sees."""
        last = T.Bind(v.convert(self.positions[self.first_token + token], "int32"))
        window = self.shape.window
        first = v.keep(v.maximum(last - (window - 1), 0)) if window else v.constant(0, "int32")
        return Span(begin=first, end=T.Bind(last + 1))

    def see(self) -> Span:
        """Return the positions that some token sees."""
        begin, end = self.sees(v.constant(0, "int32")).begin, self.sees(self.tokens - 1).end
        return Span(begin=begin, end=end)

    def head(self, row: Row) -> Expr:
        """Return a row's head, counted among all."""
        return self.kv_head * self.shape.shared + row.head

    def first_score(self, row: Row) -> Expr:
        """Return the score, before scaling, that a row has before its first key.

        It is the sink, or where there is none a number that no score is below, whose exponential
        relative to a score is 0.
        """
        if self.sinks is None:
            return v.constant(SMALLEST_SCORE, "float32")
        return self.sinks[self.head(row)] / v.constant(self.shape.scale, "float32")

    def query(self, row: Row, column: Expr, lanes: int) -> Expr:
        """Return an element of a row's query, in all lanes."""
        return T.Bind(v.splat(self.queries[self.place(row, column)], lanes))

    def place(self, row: Row, column: Expr) -> tuple[Expr, Expr]:
        """Return where queries and results ``[n, num_heads · head_dim]`` have a row's column."""
        return self.first_token + row.token, self.head(row) * self.shape.head_dim + column

    def share(self, score: Expr, largest: Expr) -> Expr:
        """Return exp of what a score, before scaling, is below the largest."""
        scale = v.constant(self.shape.scale, v.dtype_of(score))
        return exp_of_negative((score - largest) * scale)


Place = Callable[[Row, Expr], tuple[Expr, ...]]
"""``(row, column)`` → the indices of an element."""


@dataclass(frozen=True, kw_only=True)
class RowValues:
    """``head_dim`` columns for each row, somewhere in a buffer."""

    buffer: Buffer
    place: Place
    head_dim: int

    def load(self, row: Row, column: Expr, lanes: int) -> Expr:
        """Read neighbouring columns."""
        return v.load(self.buffer, *self.place(row, column), lanes=lanes)

    def store(self, row: Row, column: Expr, value: Expr, lanes: int) -> None:
        """Write neighbouring columns."""
        v.store(self.buffer, *self.place(row, column), value=value, lanes=lanes)

    def clear(self, row: Row) -> None:
        """Set a row's columns to zero."""
        for column, lanes in v.spans(self.head_dim):
            self.store(row, column, v.splat(v.constant(0, "float32"), lanes), lanes)

    def scale(self, row: Row, factor: Expr) -> None:
        """Multiply a row's columns with a number."""
        for column, lanes in v.spans(self.head_dim):
            value = self.load(row, column, lanes) * v.splat(factor, lanes)
            self.store(row, column, value, lanes)
