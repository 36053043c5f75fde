"""The sums of a tile's values, weighted by the exponentials of its scores."""

from collections.abc import Iterator
from dataclasses import dataclass

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.attention_scores import Scores
from ossc.compiler.lowering.kernels.kernel import Expr
from ossc.compiler.lowering.kernels.query_heads import KEYS, VECTORS, QueryHeads, Tile


@dataclass(frozen=True)
class _Columns:
    """Columns of a head that are added up together: some vectors of some lanes."""

    first: Expr
    vectors: int
    lanes: int

    def starts(self) -> list[Expr]:
        return [self.first + i * self.lanes for i in range(self.vectors)]


def add_values(heads: QueryHeads, scores: Scores, head: Expr, count: int, tile: Tile) -> None:
    """Rescale the sums of ``count`` heads and add the visible keys' values; read no other key's."""
    for columns in _columns(heads.head_dim):
        sums = v.Registers(count * columns.vectors, lanes=columns.lanes)
        for h in range(count):
            for i, start in enumerate(columns.starts()):
                old = heads.get(head + h, start, columns.lanes)
                correction = v.splat(scores.correction[h], columns.lanes)
                sums[h * columns.vectors + i] = old * correction
        for key, slot in _visible_keys(tile):
            values = [
                v.load(heads.values, heads.kv_head, slot, start, lanes=columns.lanes)
                for start in columns.starts()
            ]
            for h in range(count):
                weight = scores.weight(h, key, columns.lanes)
                for i, value in enumerate(values):
                    at = h * columns.vectors + i
                    sums[at] = v.multiply_add(weight, value, sums[at])
        for h in range(count):
            for i, start in enumerate(columns.starts()):
                heads.put(head + h, start, columns.lanes, sums[h * columns.vectors + i])


def _columns(head_dim: int) -> Iterator[_Columns]:
    """Emit loops over a head's columns, 16, 8 and 1 at a time."""
    begin = 0
    for vectors, lanes in ((2, v.LANES), (1, v.LANES), (1, 1)):
        count = (head_dim - begin) // (vectors * lanes)
        if count:
            with T.serial(count) as block:
                yield _Columns(T.Bind(block * (vectors * lanes) + begin), vectors, lanes)
        begin += count * vectors * lanes


def _visible_keys(tile: Tile) -> Iterator[tuple[Expr, Expr]]:
    """Emit loops over the visible keys; yields (number in the tile, place in the cache)."""
    with T.serial(VECTORS) as vector:
        first_key = T.Bind(vector * KEYS)
        first = T.Bind(v.maximum(tile.begin - first_key, 0))
        last = tvm.tirx.Min(tile.end - first_key, v.constant(KEYS, "int32"))
        slot = T.Bind(tile.slots[vector] * KEYS)
        with T.serial(v.maximum(last - first, 0)) as index:
            yield T.Bind(first_key + first + index), T.Bind(slot + first + index)
