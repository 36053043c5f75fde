"""Scores of a token's queries against a tile of keys, and their exponentials."""

from collections.abc import Callable

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import Heads, Row
from ossc.compiler.backends.cpu.kernels.attention.attention_state import State
from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.kv_cache.layout import KEYS, TILE, Tile
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr

MINUS_INFINITY = float("-inf")


class Scores:
    """Scores, then exponentials, of a few heads and the keys of a tile."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rows = state.rows
        self._lanes = state.rows.vectors.lanes
        self._scores = T.alloc_buffer((state.rows.vectors.most_heads, TILE), "float32")

    def weight(self, which: int, key: Expr, lanes: int) -> Expr:
        """Return the exponential of one of the heads and a key of the tile, in all lanes."""
        return T.Bind(v.splat(self._scores[which, key], lanes))

    def compute(self, heads: Heads, tile: Tile, seen: Span) -> None:
        """Emit q · k of some heads with the keys; those not ``seen`` get -infinity."""
        lanes = self._lanes
        vectors = min(self._rows.vectors.at_once(heads.count), TILE // lanes)
        keys = vectors * lanes
        with T.serial(TILE // keys) as group:
            first = T.Bind(group * keys)
            some_seen = tvm.tirx.all(seen.begin < first + keys, first < seen.end)
            with T.If(some_seen):
                with T.Then():
                    self._multiply(heads, tile, first, vectors, seen)
                with T.Else():
                    for h in range(heads.count):
                        for i in range(vectors):
                            self._put(h, first + i * lanes, self._invisible)

    def _multiply(self, heads: Heads, tile: Tile, first: Expr, vectors: int, seen: Span) -> None:
        sums = v.Registers(heads.count * vectors, lanes=self._lanes)
        sums.fill(range(heads.count * vectors), 0)
        rows = [self._rows.row(heads.token, heads.first + h) for h in range(heads.count)]
        read = tile.keys(first, vectors, self._lanes, ask=heads.last)
        with T.serial(self._rows.shape.head_dim) as column:
            keys = read(column)
            for h, row in enumerate(rows):
                query = self._rows.query(row, column, self._lanes)
                for i, key in enumerate(keys):
                    sums[h * vectors + i] = v.multiply_add(query, key, sums[h * vectors + i])
        for i in range(vectors):
            key = T.Bind(first + i * self._lanes)
            visible = self._visible(seen, key)
            for h in range(heads.count):
                self._put(h, key, v.select(visible, sums[h * vectors + i], self._invisible))

    @property
    def _invisible(self) -> Expr:
        return v.splat(v.constant(MINUS_INFINITY, "float32"), self._lanes)

    def _put(self, which: Expr, key: Expr, scores: Expr) -> None:
        v.store(self._scores, which, key, value=scores, lanes=self._lanes)

    def _visible(self, seen: Span, first: Expr) -> Expr:
        """Say which of the keys from ``first`` are seen; numbers before begin wrap around."""
        numbers = tvm.tirx.Ramp(first - seen.begin, v.constant(1, "int32"), self._lanes)
        count = v.convert(seen.end - seen.begin, "uint32")
        return v.bits(numbers, f"uint32x{self._lanes}") < v.splat(count, self._lanes)

    def exponentiate(self, row: Row, which: Expr) -> None:
        """Turn a row's scores into exponentials relative to its largest score so far."""
        lanes = self._lanes
        starts = range(0, TILE, lanes)
        vectors = [v.load(self._scores, which, at, lanes=lanes) for at in starts]
        tile_largest = _fold(_halves(_fold(vectors, v.larger)), v.larger)
        largest = self._state.raise_largest(row, v.horizontal_max(tile_largest))
        terms = [self._rows.share(vector, v.splat(largest, lanes)) for vector in vectors]
        for at, term in zip(starts, terms, strict=True):
            self._put(which, at, term)
        # the same additions for 8 and for 16 lanes
        step = KEYS // lanes
        even_and_odd = [_fold(terms[first::step], _add) for first in range(step)]
        self._state.add_total(row, _fold(_halves(_fold(even_and_odd, _add)), _add))


def _fold(vectors: list[Expr], combine: Callable[[Expr, Expr], Expr]) -> Expr:
    result = vectors[0]
    for vector in vectors[1:]:
        result = combine(result, vector)
    return result


def _add(a: Expr, b: Expr) -> Expr:
    return T.Bind(a + b)


def _halves(vector: Expr) -> list[Expr]:
    """Return the vectors of 8 that a vector consists of."""
    if v.dtype_of(vector).endswith("x8"):
        return [vector]
    return [v.shuffle(vector, range(first, first + v.LANES)) for first in (0, v.LANES)]
