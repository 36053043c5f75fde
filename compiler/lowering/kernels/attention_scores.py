"""Scores of queries against a tile of keys, and their running softmax."""

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Expr
from ossc.compiler.lowering.kernels.query_heads import HEADS, KEYS, TILE, VECTORS, QueryHeads, Tile
from ossc.compiler.lowering.kernels.vector_math import exp

MINUS_INFINITY = float("-inf")

VECTORS_AT_ONCE = 2


class Scores:
    """For each head the largest score and the sum of exponentials so far; a tile's scores.

    Scores are compared before they are scaled; ``(score - largest) · scale`` is what enters exp.
    """

    def __init__(self, heads: QueryHeads, scale: float) -> None:
        self._heads = heads
        self._scale = scale
        self._largest = v.Registers(heads.shared, lanes=1)
        self.total = v.Registers(heads.shared, lanes=1)
        self.correction = v.Registers(HEADS, lanes=1)
        """What older sums are multiplied with, for each head of the block being worked on."""

        self._scores = T.alloc_buffer((HEADS, TILE), "float32")
        with T.serial(heads.shared) as head:
            self._largest[head] = heads.sink(head) / v.constant(scale, "float32")
            self.total[head] = v.constant(1, "float32")  # the sink: its own score is the largest

    def weight(self, which: int, key: Expr, lanes: int) -> Expr:
        """Return the exponential of a head of the block and a key of the tile, in all lanes."""
        return T.Bind(v.splat(self._scores[which, key], lanes))

    def compute(self, head: Expr, count: int, tile: Tile) -> None:
        """Emit q · k of ``count`` heads with the tile's keys; invisible ones get -infinity."""
        for first in range(0, VECTORS, VECTORS_AT_ONCE):
            vectors = range(first, first + VECTORS_AT_ONCE)
            products = self._products(head, count, tile, vectors)
            for i, vector in enumerate(vectors):
                visible = _visible(tile, vector * KEYS)
                for h in range(count):
                    score = products[h * VECTORS_AT_ONCE + i]
                    score = v.select(visible, score, v.constant(MINUS_INFINITY, "float32x8"))
                    v.store(self._scores, h, vector * KEYS, value=score)

    def _products(self, head: Expr, count: int, tile: Tile, vectors: range) -> v.Registers:
        sums = v.Registers(count * VECTORS_AT_ONCE)
        sums.fill(range(count * VECTORS_AT_ONCE), 0)
        slots = [T.Bind(tile.slots[vector]) for vector in vectors]
        with T.serial(self._heads.head_dim) as column:
            keys = [v.load(self._heads.keys, self._heads.kv_head, s, column, 0) for s in slots]
            for h in range(count):
                query = self._heads.query(head + h, column)
                for i, key in enumerate(keys):
                    at = h * VECTORS_AT_ONCE + i
                    sums[at] = v.multiply_add(query, key, sums[at])
        return sums

    def exponentiate(self, head: Expr, which: Expr) -> None:
        """Turn a head's scores into exponentials relative to the largest score so far."""
        vectors = [v.load(self._scores, which, at) for at in range(0, TILE, KEYS)]
        tile_largest = vectors[0]
        for vector in vectors[1:]:
            tile_largest = v.larger(tile_largest, vector)
        before = T.Bind(self._largest[head])
        largest = T.Bind(v.larger(before, v.horizontal_max(tile_largest)))
        correction = exp((before - largest) * v.constant(self._scale, "float32"))
        total = v.constant(0, "float32x8")
        for i, vector in enumerate(vectors):
            term = exp((vector - v.splat(largest)) * v.constant(self._scale, "float32x8"))
            v.store(self._scores, which, i * KEYS, value=term)
            total = T.Bind(total + term)
        self._largest[head] = largest
        self.correction[which] = correction
        self.total[head] = v.multiply_add(self.total[head], correction, v.horizontal_sum(total))


def _visible(tile: Tile, first: int) -> Expr:
    """Say which of the 8 keys from ``first`` are visible; numbers before begin wrap around."""
    after_begin = v.bits(v.lane_numbers(first) - v.splat(tile.begin), "uint32x8")
    return after_begin < v.splat(v.convert(tile.end - tile.begin, "uint32"))
