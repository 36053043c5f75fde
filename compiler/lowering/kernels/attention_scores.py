"""Scores of a token's queries against a tile of keys, and their exponentials."""

from collections.abc import Callable

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.attention_rows import MOST_HEADS, Heads, Row, vectors_at_once
from ossc.compiler.lowering.kernels.attention_state import State
from ossc.compiler.lowering.kernels.kernel import Expr
from ossc.compiler.lowering.kernels.kv_cache.layout import TILE, Tile
from ossc.compiler.lowering.kernels.span import Span

MINUS_INFINITY = float("-inf")


class Scores:
    """Scores, then exponentials, of up to `MOST_HEADS` heads and the keys of a tile."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rows = state.rows
        self._scores = T.alloc_buffer((MOST_HEADS, TILE), "float32")

    def weight(self, which: int, key: Expr, lanes: int) -> Expr:
        """Return the exponential of one of the heads and a key of the tile, in all lanes."""
        return T.Bind(v.splat(self._scores[which, key], lanes))

    def compute(self, heads: Heads, tile: Tile, seen: Span) -> None:
        """Emit q · k of some heads with the keys; those not ``seen`` get -infinity."""
        vectors = vectors_at_once(heads.count)
        keys = vectors * v.LANES
        with T.serial(TILE // keys) as group:
            first = T.Bind(group * keys)
            some_seen = tvm.tirx.all(seen.begin < first + keys, first < seen.end)
            with T.If(some_seen):
                with T.Then():
                    self._multiply(heads, tile, first, vectors, seen)
                with T.Else():
                    for h in range(heads.count):
                        for i in range(vectors):
                            invisible = v.constant(MINUS_INFINITY, "float32x8")
                            v.store(self._scores, h, first + i * v.LANES, value=invisible)

    def _multiply(self, heads: Heads, tile: Tile, first: Expr, vectors: int, seen: Span) -> None:
        sums = v.Registers(heads.count * vectors)
        sums.fill(range(heads.count * vectors), 0)
        rows = [self._rows.row(heads.token, heads.first + h) for h in range(heads.count)]
        read = tile.keys(first, vectors, ask=heads.last)
        with T.serial(self._rows.shape.head_dim) as column:
            keys = read(column)
            for h, row in enumerate(rows):
                query = self._rows.query(row, column)
                for i, key in enumerate(keys):
                    sums[h * vectors + i] = v.multiply_add(query, key, sums[h * vectors + i])
        for i in range(vectors):
            key = T.Bind(first + i * v.LANES)
            visible = _visible(seen, key)
            for h in range(heads.count):
                invisible = v.constant(MINUS_INFINITY, "float32x8")
                score = v.select(visible, sums[h * vectors + i], invisible)
                v.store(self._scores, h, key, value=score)

    def exponentiate(self, row: Row, which: Expr) -> None:
        """Turn a row's scores into exponentials relative to its largest score so far."""
        vectors = [v.load(self._scores, which, at) for at in range(0, TILE, v.LANES)]
        tile_largest = _fold(vectors, v.larger)
        largest = v.splat(self._state.raise_largest(row, v.horizontal_max(tile_largest)))
        terms = [self._rows.share(vector, largest) for vector in vectors]
        for i, term in enumerate(terms):
            v.store(self._scores, which, i * v.LANES, value=term)
        even, odd = (_fold(terms[first::2], lambda a, b: T.Bind(a + b)) for first in range(2))
        self._state.add_total(row, even + odd)


def _fold(vectors: list[Expr], combine: Callable[[Expr, Expr], Expr]) -> Expr:
    result = vectors[0]
    for vector in vectors[1:]:
        result = combine(result, vector)
    return result


def _visible(seen: Span, first: Expr) -> Expr:
    """Say which of the 8 keys from ``first`` are seen; numbers before begin wrap around."""
    after_begin = v.lane_numbers(0) + v.splat(first - seen.begin)
    return v.bits(after_begin, "uint32x8") < v.splat(v.convert(seen.end - seen.begin, "uint32"))
