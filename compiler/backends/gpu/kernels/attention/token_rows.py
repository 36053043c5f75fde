"""Attention of one token: some of the heads that share a key-value head, over a range of tiles.

A work-item takes one key of a tile for the scores, and then one word of the values. Between the two
the exponentials lie in local memory.
"""

import operator
from collections.abc import Callable, Iterator

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, Registers, barrier, f32, i32, select
from ossc.compiler.backends.gpu.kernels.attention.keys_seen import (
    NO_SCORE,
    Softmax,
    Span,
    larger,
)
from ossc.compiler.backends.gpu.kv_cache.cache import Cache
from ossc.compiler.backends.gpu.kv_cache.layout import TILE
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.kernel import Buffer, Expr

ITEMS = TILE
"""Work-items of a group: one a key."""

MOST_HEADS = 8
"""Heads that are worked on together."""

MOST_QUERIES = 2048
"""Numbers of the queries that are worked on together: 8 KiB of local memory."""


def heads_together(shape: AttentionShape) -> int:
    """Return how many heads of a key-value head are worked on together."""
    most = max(1, min(MOST_HEADS, MOST_QUERIES // shape.head_dim))
    return next(count for count in range(most, 0, -1) if shape.shared % count == 0)


def blocks_of_heads(shape: AttentionShape) -> int:
    """Return how many such blocks of heads there are."""
    return shape.num_heads // heads_together(shape)


class TokenRows:
    """The rows of a block of heads: their queries, and what they have added up so far.

    The sums hold, for each row, the columns of the words that are a work-item's. Where there are
    fewer words than work-items, several share a word, and each of them takes a part of the keys.
    """

    def __init__(
        self, *, softmax: Softmax, queries: Buffer, cache: Cache, block: Expr, item: Expr
    ) -> None:
        shape, columns = softmax.shape, cache.columns
        self.count = heads_together(shape)
        self.first_head = T.Bind(block * self.count)
        self._kv_head = T.Bind(self.first_head // shape.shared)
        self._softmax, self._cache, self._item = softmax, cache, item
        self._parts = max(1, ITEMS // cache.words)
        self._turns = -(-cache.words // ITEMS)
        self._query = Local(self.count, cache.words * columns)
        self._scores = Local(self.count, TILE)
        self._folded = Local(ITEMS)
        self._largest, self._rescale = Local(self.count), Local(self.count)
        self._totals = Registers(self.count)
        self._sums = Registers(self._turns * self.count * columns)
        self._joined = Local(self._turns * ITEMS * columns)
        self._queries = queries

    def clear(self) -> None:
        """Emit the reading of the queries, and the state before the first key."""
        head_dim, room = self._cache.shape.head_dim, self._cache.words * self._cache.columns
        for number in range(self.count):
            first = T.Bind((self.first_head + number) * head_dim)
            for column in each(head_dim, self._item, ITEMS):
                self._query[number, column] = self._queries[0, first + column]
            for column in range(head_dim, room):
                self._query[number, column] = f32(0)
        for number in each(self.count, self._item, ITEMS):
            self._largest[number] = self._softmax.first_score(self.first_head + number)
        self._totals.clear()
        self._sums.clear()
        barrier()

    def attend(self, tile: Expr, seen: Span) -> None:
        """Emit the attention to the tile of that number, of which some keys are ``seen``."""
        place = T.Bind(tirx.truncmod(tile, i32(self._cache.shape.tiles)))
        first = T.Bind(tile * TILE)
        scores = self._score(place, T.Bind(first + self._item), seen)
        for number, largest in self._fold(larger, NO_SCORE):
            before = T.Bind(self._largest[number])
            largest = T.Bind(larger(before, largest))
            self._rescale[number] = self._softmax.share(before, largest)
            self._largest[number] = largest
        barrier()
        for number in range(self.count):
            share = T.Bind(self._softmax.share(scores[number], self._largest[number]))
            self._scores[number, self._item] = share
            self._totals[number] = self._totals[number] * self._rescale[number] + share
        barrier()
        begin, end = (T.Bind(tirx.Max(seen.begin - first, i32(0))), T.Bind(seen.end - first))
        self._add_values(T.Bind(place * TILE), Span(begin, T.Bind(tirx.Min(end, i32(TILE)))))
        barrier()

    def _score(self, place: Expr, position: Expr, seen: Span) -> Registers:
        """Emit q · k of a work-item's key with all rows, in registers and in local memory."""
        scores = Registers(self.count)
        scores.clear()
        for column, values in self._cache.each_word_of_key(self._kv_head, place, self._item):
            for at, value in enumerate(values):
                for number in range(self.count):
                    scores.add(number, self._query[number, column + at] * value)
        visible = T.Bind(tirx.all(seen.begin <= position, position < seen.end))
        for number in range(self.count):
            scores[number] = select(visible, scores[number], f32(NO_SCORE))
            self._scores[number, self._item] = scores[number]
        barrier()
        return scores

    def _fold(
        self, combine: Callable[[Expr, Expr], Expr], start: float
    ) -> Iterator[tuple[Expr, Expr]]:
        """Emit the combination of each row of ``_scores``; yields row and result in a branch."""
        per_row, item = ITEMS // self.count, self._item
        result = Registers(1)
        with T.If(item < per_row * self.count), T.Then():
            result[0] = f32(start)
            for key in each(TILE, T.Bind(item % per_row), per_row):
                result[0] = combine(result[0], T.Bind(self._scores[item // per_row, key]))
            self._folded[item] = result[0]
        barrier()
        with T.If(item < self.count), T.Then():
            result[0] = f32(start)
            with T.serial(per_row) as part:
                result[0] = combine(result[0], T.Bind(self._folded[item * per_row + part]))
            yield item, T.Bind(result[0])

    def _add_values(self, first_slot: Expr, seen: Span) -> None:
        """Emit the sums of the values of the tile's keys that are ``seen``; read no other's."""
        for number in range(self.count):
            rescale = T.Bind(self._rescale[number])
            for at in self._columns_of(number):
                self._sums[at] = self._sums[at] * rescale
        if self._parts == 1:
            with T.serial(seen.end - seen.begin) as index:
                self._add_value(first_slot, T.Bind(seen.begin + index))
            return
        part = T.Bind(tirx.Min(self._item // self._cache.words, i32(self._parts - 1)))
        with T.serial((seen.end - seen.begin + (self._parts - 1)) // self._parts) as turn:
            key = T.Bind(seen.begin + turn * self._parts + part)
            with T.If(key < seen.end), T.Then():
                self._add_value(first_slot, key)

    def _add_value(self, first_slot: Expr, key: Expr) -> None:
        """Emit the addition of a work-item's words of one value to all rows."""
        columns = self._cache.columns
        for turn in range(self._turns):
            values = self._cache.value(self._kv_head, first_slot + key, self._word(turn))
            for number in range(self.count):
                share = T.Bind(self._scores[number, key])
                for at, value in enumerate(values):
                    place = (turn * self.count + number) * columns + at
                    self._sums.add(place, share * value)

    def _word(self, turn: int) -> Expr:
        """Return one of a work-item's words; behind the last one it is the last one again."""
        words = self._cache.words
        if self._turns == 1:
            return T.Bind(self._item % words)
        return T.Bind(tirx.Min(self._item + turn * ITEMS, i32(words - 1)))

    def _columns_of(self, number: int) -> list[int]:
        """Return where the sums have the columns of a row."""
        columns = self._cache.columns
        firsts = [(turn * self.count + number) * columns for turn in range(self._turns)]
        return [first + at for first in firsts for at in range(columns)]

    def totals(self) -> Iterator[tuple[Expr, Expr, Expr]]:
        """Emit each row's sum of exponentials; yields row, sum and largest score in a branch."""
        for number in range(self.count):
            self._scores[number, self._item] = self._totals[number]
        barrier()
        for number, total in self._fold(operator.add, 0.0):
            yield number, total, T.Bind(self._largest[number])

    def values(self) -> Iterator[tuple[int, Expr, Expr]]:
        """Emit the sums of all work-items; yields row, column and sum in a loop."""
        head_dim, columns = self._cache.shape.head_dim, self._cache.columns
        for number in range(self.count):
            for index, at in enumerate(self._columns_of(number)):
                turn, column = divmod(index, columns)
                self._joined[(self._item + turn * ITEMS) * columns + column] = self._sums[at]
            barrier()
            for column in each(head_dim, self._item, ITEMS):
                total = Registers(1)
                total.clear()
                for part in range(self._parts):
                    total.add(0, self._joined[column + part * self._cache.words * columns])
                yield number, column, T.Bind(total[0])
            barrier()
