"""Attention of a token over the cached keys that it sees, with a sink for each head.

Keys are taken in tiles of 32 neighbouring positions, aligned at multiples of 32, so a token meets
the same tiles in the same order however many tokens a call has. The softmax is built up tile by
tile (Milakov and Gimelshein 2018; FlashAttention): the sink is its first term, and what is added up
so far is rescaled when a tile brings a larger score.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Buffer, Expr, Kernel, building, symbol
from ossc.compiler.lowering.kernels.rope_store import KEYS
from ossc.compiler.lowering.kernels.vector_math import exp

VECTORS = 4
"""Vectors of keys in a tile."""

TILE = VECTORS * KEYS

HEADS = 4
"""Query heads that are worked on together; their scores stay on the stack."""

MINUS_INFINITY = float("-inf")


def sink_attention(
    *,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    capacity: int,
    window: int,
    scale: float,
    n: int | None,
) -> Kernel:
    """Build attention over the cache that `rope_store` fills.

    The token at position i sees the positions j with i - window < j ≤ i, all up to i if ``window``
    is 0. The cache's other places are never used, whatever they hold.

    Parameters of the function: queries ``[n, num_heads · head_dim]``, keys and values (see
    `rope_store`), sinks ``[num_heads]``, positions int64 ``[n]`` → out
    ``[n, num_heads · head_dim]``; float32 but for the positions. One task for each token and
    key-value head.
    """
    shape = f"{num_heads}x{num_kv_heads}x{head_dim}"
    name = symbol("sink_attention", shape, capacity, window, scale, n=n)
    with building(name, n) as function:
        buffers = _Buffers(
            queries=function.per_token("queries", "float32", num_heads * head_dim),
            keys=function.buffer("keys", "float32", num_kv_heads, capacity // KEYS, head_dim, KEYS),
            values=function.buffer("values", "float32", num_kv_heads, capacity, head_dim),
            sinks=function.buffer("sinks", "float32", num_heads),
            positions=function.per_token("positions", "int64"),
            out=function.per_token("out", "float32", num_heads * head_dim),
        )
        with function.tasks(per_token=num_kv_heads) as task:
            token, kv_head = T.Bind(task // num_kv_heads), T.Bind(task % num_kv_heads)
            last = T.Bind(v.convert(buffers.positions[token], "int32"))
            first = T.Bind(v.maximum(last - (window - 1), 0)) if window else 0
            _Task(buffers, token, kv_head, num_heads // num_kv_heads, scale).run(first, last)
    return function.kernel()


@dataclass(frozen=True, kw_only=True)
class _Buffers:
    queries: Buffer
    keys: Buffer
    values: Buffer
    sinks: Buffer
    positions: Buffer
    out: Buffer


class _Task:
    """One token and key-value head: emits its attention.

    Scores are compared before they are scaled; ``(score - largest) * scale`` is what enters exp.
    """

    def __init__(
        self, buffers: _Buffers, token: Expr, kv_head: Expr, shared: int, scale: float
    ) -> None:
        self.buffers = buffers
        self.token = token
        self.kv_head = kv_head
        self.shared = shared
        self.scale = scale
        _, self.blocks, self.head_dim, _ = (int(dim) for dim in buffers.keys.ty.shape)
        self.largest = v.Registers(shared, lanes=1)
        self.total = v.Registers(shared, lanes=1)
        self.correction = v.Registers(HEADS, lanes=1)
        self.scores = T.alloc_buffer((HEADS, TILE), "float32")
        self.slots = v.Registers(VECTORS, "int32", lanes=1)

    def run(self, first: Expr, last: Expr) -> None:
        """Attend to the positions ``first`` to ``last``, both included."""
        self._start()
        with T.serial(first // TILE, last // TILE + 1) as tile:
            begin = T.Bind(v.maximum(first - tile * TILE, 0))
            end = T.Bind(tvm.tirx.Min(last - tile * TILE + 1, v.constant(TILE, "int32")))
            for vector in range(VECTORS):
                self.slots[vector] = (tile * VECTORS + vector) % self.blocks
            for head, heads in self._head_blocks():
                for pair in range(0, VECTORS, 2):
                    self._score(head, heads, pair, begin, end)
                with T.serial(heads) as which:
                    self._exponentiate(head + which, which)
                self._add_values(head, heads, begin, end)
        self._finish()

    def _start(self) -> None:
        for head, columns, lanes in self._outputs():
            self._put(head, columns, lanes, v.splat(v.constant(0, "float32"), lanes))
        with T.serial(self.shared) as head:
            sink = self.buffers.sinks[self.kv_head * self.shared + head]
            self.largest[head] = sink / v.constant(self.scale, "float32")
            self.total[head] = v.constant(1, "float32")

    def _finish(self) -> None:
        for head, columns, lanes in self._outputs():
            value = self._get(head, columns, lanes) / v.splat(self.total[head], lanes)
            self._put(head, columns, lanes, value)

    def _score(self, head: Expr, heads: int, pair: int, begin: Expr, end: Expr) -> None:
        """Emit q · k of some heads with two vectors of keys; invisible keys get -infinity."""
        sums = v.Registers(2 * heads)
        sums.fill(range(2 * heads), 0)
        blocks = [T.Bind(self.slots[pair + i]) for i in range(2)]
        with T.serial(self.head_dim) as column:
            keys = [v.load(self.buffers.keys, self.kv_head, b, column, 0) for b in blocks]
            for h in range(heads):
                query = self.buffers.queries[self.token, self._first(head + h) + column]
                query = T.Bind(v.splat(query))
                for i in range(2):
                    sums[2 * h + i] = v.multiply_add(query, keys[i], sums[2 * h + i])
        for i in range(2):
            at = (pair + i) * KEYS
            before = v.lane_numbers(at) - v.splat(begin)
            visible = v.bits(before, "uint32x8") < v.splat(v.convert(end - begin, "uint32"))
            for h in range(heads):
                score = v.select(visible, sums[2 * h + i], v.constant(MINUS_INFINITY, "float32x8"))
                v.store(self.scores, h, at, value=score)

    def _exponentiate(self, head: Expr, row: Expr) -> None:
        """Turn a row of scores into exponentials relative to the largest score so far."""
        vectors = [v.load(self.scores, row, at) for at in range(0, TILE, KEYS)]
        tile_largest = vectors[0]
        for vector in vectors[1:]:
            tile_largest = v.larger(tile_largest, vector)
        before = T.Bind(self.largest[head])
        largest = v.larger(before, v.horizontal_max(tile_largest))
        scale = v.constant(self.scale, "float32")
        correction = exp((before - largest) * scale)
        sums = v.constant(0, "float32x8")
        for i, vector in enumerate(vectors):
            term = exp((vector - v.splat(largest)) * v.splat(scale))
            v.store(self.scores, row, i * KEYS, value=term)
            sums = T.Bind(sums + term)
        self.largest[head] = largest
        self.correction[row] = correction
        self.total[head] = v.multiply_add(self.total[head], correction, v.horizontal_sum(sums))

    def _add_values(self, head: Expr, heads: int, begin: Expr, end: Expr) -> None:
        """Rescale the sums of some heads and add the visible keys' values."""
        for columns, vectors, lanes in _value_blocks(self.head_dim):
            sums = v.Registers(heads * vectors, lanes=lanes)
            for h in range(heads):
                for i in range(vectors):
                    old = self._get(head + h, columns + i * lanes, lanes)
                    sums[h * vectors + i] = old * v.splat(self.correction[h], lanes)
            with T.serial(VECTORS) as vector:
                at = T.Bind(vector * KEYS)
                first = v.maximum(begin - at, 0)
                last = tvm.tirx.Min(end - at, v.constant(KEYS, "int32"))
                slot = T.Bind(self.slots[vector] * KEYS)
                with T.serial(tvm.tirx.Max(last - first, v.constant(0, "int32"))) as index:
                    key = T.Bind(first + index)
                    self._add_value(sums, slot + key, at + key, columns, heads, vectors, lanes)
            for h in range(heads):
                for i in range(vectors):
                    self._put(head + h, columns + i * lanes, lanes, sums[h * vectors + i])

    def _add_value(
        self,
        sums: v.Registers,
        slot: Expr,
        key: Expr,
        columns: Expr,
        heads: int,
        vectors: int,
        lanes: int,
    ) -> None:
        values = [
            v.load(self.buffers.values, self.kv_head, slot, columns + i * lanes, lanes=lanes)
            for i in range(vectors)
        ]
        for h in range(heads):
            weight = T.Bind(v.splat(self.scores[h, key], lanes))
            for i, value in enumerate(values):
                at = h * vectors + i
                sums[at] = v.multiply_add(weight, value, sums[at])

    def _head_blocks(self) -> Iterator[tuple[Expr, int]]:
        """Emit a loop over blocks of heads, and what remains; yields (first head, heads)."""
        whole, rest = divmod(self.shared, HEADS)
        if whole:
            with T.serial(whole) as block:
                yield T.Bind(block * HEADS), HEADS
        if rest:
            yield v.constant(whole * HEADS, "int32"), rest

    def _outputs(self) -> Iterator[tuple[Expr, Expr, int]]:
        with T.serial(self.shared) as head:
            for columns, lanes in v.spans(self.head_dim):
                yield head, columns, lanes

    def _first(self, head: Expr) -> Expr:
        """Return the first column of a query head in the rows of queries and outputs."""
        return (self.kv_head * self.shared + head) * self.head_dim

    def _get(self, head: Expr, columns: Expr, lanes: int) -> Expr:
        return v.load(self.buffers.out, self.token, self._first(head) + columns, lanes=lanes)

    def _put(self, head: Expr, columns: Expr, lanes: int, value: Expr) -> None:
        at = self._first(head) + columns
        v.store(self.buffers.out, self.token, at, value=value, lanes=lanes)


def _value_blocks(head_dim: int) -> Iterator[tuple[Expr, int, int]]:
    """Emit loops over a head's columns, 16, 8 and 1 at a time; yields (first, vectors, lanes)."""
    begin = 0
    for vectors, lanes in ((2, v.LANES), (1, v.LANES), (1, 1)):
        count = (head_dim - begin) // (vectors * lanes)
        if count:
            with T.serial(count) as block:
                yield T.Bind(block * (vectors * lanes) + begin), vectors, lanes
        begin += count * vectors * lanes
