"""One token's query heads that share a key-value head, and the keys that they meet at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Buffer, Expr

KEYS = v.LANES
"""Keys that the cache interleaves: a vector of them."""

VECTORS = 4
"""Vectors of keys in a tile."""

TILE = VECTORS * KEYS

HEADS = 4
"""Query heads that are worked on together: with two vectors of keys, 8 sums and 6 operands."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Neighbouring positions, of which those from ``begin`` up to ``end`` are visible."""

    begin: Expr
    end: Expr
    slots: v.Registers
    """For each vector of keys where the cache holds it."""


@dataclass(frozen=True, kw_only=True)
class QueryHeads:
    """The buffers of an attention kernel, seen by the heads of one token and key-value head."""

    queries: Buffer
    keys: Buffer
    values: Buffer
    sinks: Buffer
    out: Buffer
    token: Expr
    kv_head: Expr
    shared: int
    """Query heads; their indices here start at 0."""

    head_dim: int

    def blocks(self) -> Iterator[tuple[Expr, int]]:
        """Emit a loop over `HEADS` heads at a time, and what remains; yields (first, heads)."""
        whole, rest = divmod(self.shared, HEADS)
        if whole:
            with T.serial(whole) as block:
                yield T.Bind(block * HEADS), HEADS
        if rest:
            yield v.constant(whole * HEADS, "int32"), rest

    def sink(self, head: Expr) -> Expr:
        """Return a head's sink."""
        return self.sinks[self.kv_head * self.shared + head]

    def query(self, head: Expr, column: Expr) -> Expr:
        """Return an element of a head's query, in all lanes."""
        return T.Bind(v.splat(self.queries[self.token, self._column(head, column)]))

    def outputs(self) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit loops over all outputs; yields (head, first column, lanes)."""
        with T.serial(self.shared) as head:
            for columns, lanes in v.spans(self.head_dim):
                yield head, columns, lanes

    def get(self, head: Expr, columns: Expr, lanes: int) -> Expr:
        """Read outputs, where the sums of values are kept too."""
        return v.load(self.out, self.token, self._column(head, columns), lanes=lanes)

    def put(self, head: Expr, columns: Expr, lanes: int, value: Expr) -> None:
        """Write outputs."""
        v.store(self.out, self.token, self._column(head, columns), value=value, lanes=lanes)

    def _column(self, head: Expr, column: Expr) -> Expr:
        return (self.kv_head * self.shared + head) * self.head_dim + column
