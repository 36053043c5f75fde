"""Attention of a chunk of tokens: tiles of rows × keys, whose operands lie in local memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import (
    Local,
    Registers,
    barrier,
    f32,
    i32,
    select,
    store,
)
from ossc.compiler.backends.gpu.kernel_builder import Item, building
from ossc.compiler.backends.gpu.kernels.attention.keys_seen import (
    NO_SCORE,
    Softmax,
    Span,
    declare_sinks,
    first_seen,
    larger,
)
from ossc.compiler.backends.gpu.kv_cache.cache import Cache, declare_cache
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType

SIDE = 32
"""Rows of a group, keys of a tile, and columns of a piece of a head: a product of 32 × 32 numbers
takes two times 4 KiB of local memory."""

ACROSS = 8
"""Work-items in each direction."""

EACH = SIDE // ACROSS
"""Rows, and keys or columns, of a work-item."""

ITEMS = ACROSS * ACROSS

HIDDEN = -1.0
"""Stands for the exponential of a key that is not seen, which none has."""


def chunk_attention(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None = None
) -> Kernel:
    """Build the attention of any number of tokens over the cache that `rope_store` fills.

    The token at position i sees the positions j with i - window < j ≤ i, all up to i if the window
    is 0. The cache's other places are never used, whatever they hold.

    Parameters of the function: queries ``[n, num_heads · head_dim]``, the cache's buffers, sinks
    ``[num_heads]`` if the shape has them, positions int32 ``[n]``, ascending by one → out
    ``[n, num_heads · head_dim]``; float32 but for cache and positions. A row is a head of a token;
    one group for each key-value head and 32 of the rows that share it.
    """
    width = shape.num_heads * shape.head_dim
    cached = CacheShape(num_kv_heads=shape.num_kv_heads, capacity=capacity, head_dim=shape.head_dim)
    name = symbol("chunk_" + shape.operation, kv, shape.symbol, capacity, n=n)
    with building(name, n) as function:
        queries = function.per_token("queries", "float32", width)
        cache = declare_cache(function, kv, cached, ("key", capacity))
        softmax = Softmax(shape, declare_sinks(function, shape))
        positions = function.per_token("positions", "int32")
        out = function.per_token("out", "float32", width)
        grid = (Groups(per_token=shape.shared, divisor=SIDE), Groups(fixed=shape.num_kv_heads))
        with function.grid(*grid, block=(ACROSS, ACROSS)) as item:
            rows = _Rows(
                shape=shape,
                first=T.Bind(item.group[0] * SIDE),
                count=T.Bind(function.tokens * shape.shared),
                kv_head=item.group[1],
                first_position=T.Bind(positions[0]),
            )
            tile = _Tile(rows, softmax, cache, queries, item)
            first, count = rows.seen().tiles(SIDE)
            with T.serial(count) as index:
                tile.attend(T.Bind(first + index))
            for row, column, value in tile.values():
                with T.If(tirx.all(rows.exists(row), column < shape.head_dim)), T.Then():
                    store(out, *rows.place(row, column), value=value)
    products = Work(per_pair=4 * width)
    return function.kernel(shape.operation, "f32", products, scheme=kv, window=shape.window)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The heads that share a key-value head, token by token; a group has `SIDE` of them."""

    shape: AttentionShape
    first: Expr
    count: Expr
    """Of all groups; behind them the last one repeats."""
    kv_head: Expr
    first_position: Expr
    """Of the chunk."""

    def exists(self, row: Expr) -> Expr:
        """Say whether a row of the group is one."""
        return self.first + row < self.count

    def _number(self, row: Expr) -> Expr:
        return tirx.Min(self.first + row, self.count - 1)

    def token(self, row: Expr) -> Expr:
        """Return the token of a row of the group."""
        return T.Bind(tirx.truncdiv(self._number(row), i32(self.shape.shared)))

    def head(self, row: Expr) -> Expr:
        """Return the head of a row of the group, counted among all."""
        among = tirx.truncmod(self._number(row), i32(self.shape.shared))
        return T.Bind(self.kv_head * self.shape.shared + among)

    def place(self, row: Expr, column: Expr) -> tuple[Expr, Expr]:
        """Return where queries and results ``[n, num_heads · head_dim]`` have a row's column."""
        return self.token(row), self.head(row) * self.shape.head_dim + column

    def position(self, row: Expr) -> Expr:
        """Return the last position that a row sees."""
        return T.Bind(self.first_position + self.token(row))

    def seen(self) -> Span:
        """Return the positions that some row sees."""
        begin = first_seen(self.shape, self.position(i32(0)))
        return Span(begin, T.Bind(self.position(i32(SIDE - 1)) + 1))


class _Tile:
    """A group's work: the scores of its rows with the keys of a tile, and what they add up to.

    A work-item has neighbouring rows, and every eighth key of the tile and column of a piece.
    """

    def __init__(
        self, rows: _Rows, softmax: Softmax, cache: Cache, queries: Buffer, item: Item
    ) -> None:
        self._rows, self._softmax, self._cache, self._queries = rows, softmax, cache, queries
        self._x, self._y = item.local[0], item.local[1]
        self._item = T.Bind(self._y * ACROSS + self._x)
        self._pieces = -(-cache.shape.head_dim // SIDE)
        self._left = Local(SIDE, SIDE)
        """A piece of the queries, by column and row."""
        self._right = Local(SIDE, SIDE)
        """A piece of the keys, by column and key, or of the values, by key and column."""
        self._shares = Local(SIDE, SIDE)
        """Scores, then exponentials, by row and key."""
        self._largest, self._rescale = Local(SIDE), Local(SIDE)
        self._folded = Local(ITEMS)
        self._last_seen = Registers(EACH, "int32")
        self._totals = Registers(EACH)
        self._sums = Registers(self._pieces * EACH * EACH)
        self._clear()

    def _clear(self) -> None:
        """Emit the state before the first key."""
        for row in each(SIDE, self._item, ITEMS):
            self._largest[row] = self._softmax.first_score(self._rows.head(row))
        self._totals.clear()
        with T.serial(self._pieces * EACH * EACH) as index:
            self._sums[index] = f32(0)
        with T.serial(EACH) as i:
            self._last_seen[i] = self._rows.position(self._row(i))
        barrier()

    def _row(self, i: int | Expr) -> Expr:
        """Return one of a work-item's rows."""
        return T.Bind(self._y * EACH + i)

    def _key(self, j: int) -> Expr:
        """Return one of a work-item's keys of the tile, or columns of a piece."""
        return T.Bind(self._x + j * ACROSS)

    def attend(self, number: Expr) -> None:
        """Emit the attention to the keys of a tile."""
        first = T.Bind(number * SIDE)
        slot = T.Bind(tirx.truncmod(first, i32(self._cache.shape.capacity)))
        scores = self._score(slot)
        self._hide(scores, first)
        self._raise_largest()
        self._exponentiate(scores)
        self._add_values(slot)

    def _score(self, slot: Expr) -> Registers:
        """Emit the products of the rows' queries with the keys of 32 slots."""
        scores = Registers(EACH * EACH)
        scores.clear()
        with T.serial(self._pieces) as piece:
            self._load_queries(piece)
            self._load_keys(slot, piece)
            barrier()
            with T.serial(SIDE) as column:
                keys = [T.Bind(self._right[column, self._key(j)]) for j in range(EACH)]
                for i in range(EACH):
                    query = T.Bind(self._left[column, self._row(i)])
                    for j, key in enumerate(keys):
                        scores.add(i * EACH + j, query * key)
            barrier()
        return scores

    def _load_queries(self, piece: Expr) -> None:
        head_dim = self._cache.shape.head_dim
        for number in each(SIDE * SIDE, self._item, ITEMS):
            row, at = T.Bind(number // SIDE), T.Bind(number % SIDE)
            column = T.Bind(at + piece * SIDE)
            inside = tirx.Min(column, i32(head_dim - 1))
            value = T.Bind(self._queries[self._rows.place(row, inside)])
            self._left[at, row] = select(column < head_dim, value, f32(0))

    def _load_keys(self, slot: Expr, piece: Expr) -> None:
        tile, lane = T.Bind(slot // TILE), T.Bind(slot % TILE)
        for at, key, word in self._words(piece):
            values = self._cache.key(self._rows.kv_head, tile, word, lane + key)
            for i, value in enumerate(values):
                self._right[at + i, key] = value

    def _load_values(self, slot: Expr, piece: Expr) -> None:
        for at, key, word in self._words(piece, by_key=True):
            values = self._cache.value(self._rows.kv_head, slot + key, word)
            for i, value in enumerate(values):
                self._right[key, at + i] = value

    def _words(self, piece: Expr, *, by_key: bool = False) -> Iterator[tuple[Expr, Expr, Expr]]:
        """Emit a loop over a work-item's words of a piece; yields column, key and word.

        Behind a head's last word it is the last one again.
        """
        words = SIDE // self._cache.columns
        for number in each(SIDE * words, self._item, ITEMS):
            key = T.Bind(number // words if by_key else number % SIDE)
            at = T.Bind(number % words if by_key else number // SIDE)
            word = tirx.Min(at + piece * words, i32(self._cache.words - 1))
            yield T.Bind(at * self._cache.columns), key, T.Bind(word)

    def _hide(self, scores: Registers, first: Expr) -> None:
        """Emit the scores in local memory, those of keys that a row does not see as -infinity."""
        with T.serial(EACH) as i:
            last = T.Bind(self._last_seen[i])
            begin = first_seen(self._rows.shape, last)
            for j in range(EACH):
                position = T.Bind(first + self._key(j))
                visible = T.Bind(tirx.all(begin <= position, position <= last))
                score = T.Bind(select(visible, scores[i * EACH + j], f32(NO_SCORE)))
                scores[i * EACH + j] = score
                self._shares[self._row(i), self._key(j)] = score
        barrier()

    def _raise_largest(self) -> None:
        """Emit each row's largest score so far, and by how much what is added up shrinks."""
        halves, half = ITEMS // SIDE, SIDE * SIDE // ITEMS
        largest = Registers(1)
        largest[0] = f32(NO_SCORE)
        with T.serial(half) as index:
            key = T.Bind(index * halves + self._item % halves)
            largest[0] = larger(largest[0], T.Bind(self._shares[self._item // halves, key]))
        self._folded[self._item] = largest[0]
        barrier()
        for row in each(SIDE, self._item, ITEMS):
            before = T.Bind(self._largest[row])
            largest[0] = before
            for part in range(halves):
                largest[0] = larger(largest[0], T.Bind(self._folded[row * halves + part]))
            self._rescale[row] = self._softmax.share(before, largest[0])
            self._largest[row] = largest[0]
        barrier()

    def _exponentiate(self, scores: Registers) -> None:
        """Emit the exponentials in local memory; one of a hidden key is below zero."""
        with T.serial(EACH) as i:
            row = self._row(i)
            self._totals[i] = self._totals[i] * self._rescale[row]
            for j in range(EACH):
                score = T.Bind(scores[i * EACH + j])
                share = T.Bind(self._softmax.share(score, self._largest[row]))
                hidden = T.Bind(score == f32(NO_SCORE))
                self._totals.add(i, select(hidden, f32(0), share))
                self._shares[row, self._key(j)] = select(hidden, f32(HIDDEN), share)

    def _add_values(self, slot: Expr) -> None:
        """Emit the sums of the values, after what is added up so far was rescaled."""
        sums = Registers(EACH * EACH)
        with T.serial(self._pieces) as piece:
            first = T.Bind(piece * (EACH * EACH))
            self._load_values(slot, piece)
            barrier()
            for at in range(EACH * EACH):
                sums[at] = self._sums[first + at] * self._rescale[self._row(at // EACH)]
            with T.serial(SIDE) as key:
                self._add_value(key, sums)
            for at in range(EACH * EACH):
                self._sums[first + at] = sums[at]
            barrier()

    def _add_value(self, key: Expr, sums: Registers) -> None:
        """Emit the addition of a value; that of a hidden key is not used, whatever it is."""
        values = [T.Bind(self._right[key, self._key(j)]) for j in range(EACH)]
        for i in range(EACH):
            share = T.Bind(self._shares[self._row(i), key])
            for j, value in enumerate(values):
                total = T.Bind(sums[i * EACH + j])
                sums[i * EACH + j] = select(share < f32(0), total, total + share * value)

    def values(self) -> Iterator[tuple[Expr, Expr, Expr]]:
        """Emit the results; yields row, column, which may not exist, and value."""
        with T.serial(EACH) as i:
            self._shares[self._row(i), self._x] = self._totals[i]
        barrier()
        with T.serial(EACH) as i:
            row = self._row(i)
            total = Registers(1)
            total[0] = self._softmax.sink_term(self._rows.head(row), self._largest[row])
            with T.serial(ACROSS) as x:
                total.add(0, self._shares[row, x])
            factor = T.Bind(f32(1) / total[0])
            with T.serial(self._pieces) as piece:
                for j in range(EACH):
                    at = T.Bind((piece * EACH + i) * EACH + j)
                    yield row, T.Bind(piece * SIDE + self._key(j)), self._sums[at] * factor
