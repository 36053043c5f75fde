"""The sums of a tile's values, weighted by the exponentials of its scores."""

from collections.abc import Iterator
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import Heads, Vectors
from ossc.compiler.backends.cpu.kernels.attention.attention_scores import Scores
from ossc.compiler.backends.cpu.kernels.attention.attention_state import State
from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.kv_cache.layout import Tile
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr


@dataclass(frozen=True)
class _Columns:
    """Columns of a head that are added up together: some vectors of some lanes."""

    first: Expr
    vectors: int
    lanes: int

    def starts(self) -> list[Expr]:
        return [self.first + i * self.lanes for i in range(self.vectors)]


def add_values(state: State, scores: Scores, heads: Heads, tile: Tile, seen: Span) -> None:
    """Add the values of the keys that are ``seen`` to the rows of some heads; read no other's."""
    rows = [state.rows.row(heads.token, heads.first + h) for h in range(heads.count)]
    for columns in _columns(state.values.head_dim, state.rows.vectors, heads.count):
        starts, lanes = columns.starts(), columns.lanes
        places = [(row, at) for row in rows for at in starts]
        sums = v.Registers(len(places), lanes=lanes)
        for i, (row, at) in enumerate(places):
            sums[i] = state.values.load(row, at, lanes)
        read = tile.values(ask=heads.last)
        with T.serial(seen.end - seen.begin) as index:
            key = T.Bind(seen.begin + index)
            values = read(key, starts, lanes)
            for h in range(heads.count):
                weight = scores.weight(h, key, lanes)
                for i, value in enumerate(values):
                    place = h * len(starts) + i
                    sums[place] = v.multiply_add(weight, value, sums[place])
        for i, (row, at) in enumerate(places):
            state.values.store(row, at, sums[i], lanes)


def _columns(head_dim: int, vectors: Vectors, heads: int) -> Iterator[_Columns]:
    """Emit loops over a head's columns: some vectors at a time, one, and single columns."""
    begin = 0
    for number, lanes in ((vectors.at_once(heads), vectors.lanes), (1, vectors.lanes), (1, 1)):
        count = (head_dim - begin) // (number * lanes)
        if count:
            with T.serial(count) as block:
                yield _Columns(T.Bind(block * (number * lanes) + begin), number, lanes)
        begin += count * number * lanes
