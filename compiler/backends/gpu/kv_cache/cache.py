"""A KV cache in a kernel: storing a token's key and value, and reading them word by word."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, bits, f32, i32, store
from ossc.compiler.backends.gpu.kv_cache import float16, float32, int8
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.attention_call import CacheBuffer
from ossc.compiler.lowering.kernel import Buffer, Expr, KernelBuilder, Parts
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.plan import Role


@dataclass(frozen=True, kw_only=True)
class CacheType:
    """How the columns of a key or value lie in words."""

    columns: int
    """Of a word."""

    encode: Callable[[Local, Expr], Expr]
    """``(row, number)`` → a word; behind the row's columns there are zeros."""

    decode: Callable[[Expr, Expr | None], list[Expr]]
    """``(word, scale)`` → the columns of a word."""

    scale: Callable[[Local, Expr], Expr] | None = None
    """``(row, group)`` → the scale of so many columns, in float32."""

    scale_columns: int = 0

    def words(self, head_dim: int) -> int:
        """Return the words of a key or value, without its scales."""
        return -(-head_dim // self.columns)

    def scales(self, head_dim: int) -> int:
        """Return the scales of a key or value."""
        return -(-head_dim // self.scale_columns) if self.scale_columns else 0


TYPES: dict[KvType, CacheType] = {
    "f32": CacheType(columns=float32.COLUMNS, encode=float32.encode, decode=float32.decode),
    "f16": CacheType(columns=float16.COLUMNS, encode=float16.encode, decode=float16.decode),
    "int8": CacheType(
        columns=int8.COLUMNS,
        encode=int8.encode,
        decode=int8.decode,
        scale=int8.scale,
        scale_columns=int8.SCALE_COLUMNS,
    ),
}


def cache_buffers(kv: KvType, shape: CacheShape) -> tuple[CacheBuffer, ...]:
    """Return the buffers of a layer's cache.

    Raises:
        LoweringError: One is larger than the kernels' indices reach.
    """
    words = TYPES[kv].words(shape.head_dim) + TYPES[kv].scales(shape.head_dim)
    return (
        CacheBuffer(name="keys", dtype="uint32", shape=shape.keys(words)),
        CacheBuffer(name="values", dtype="uint32", shape=shape.values(words)),
    )


def declare_cache(function: KernelBuilder, kv: KvType, shape: CacheShape, parts: Parts) -> "Cache":
    """Add the buffers of a cache to a function; ``parts`` says what a call touches of them."""
    keys, values = (
        function.buffer(buffer.name, buffer.dtype, *buffer.shape, parts=parts, role=Role.CACHE)
        for buffer in cache_buffers(kv, shape)
    )
    return Cache(shape, TYPES[kv], keys, values)


class Cache:
    """The buffers of a cache in a kernel."""

    def __init__(self, shape: CacheShape, kind: CacheType, keys: Buffer, values: Buffer) -> None:
        self.shape = shape
        self.columns = kind.columns
        self.words = kind.words(shape.head_dim)
        self._scales = kind.scales(shape.head_dim)
        self._kind, self._keys, self._values = kind, keys, values

    def row(self, item: Expr, items: int) -> Local:
        """Return local memory for a key or value in float32, zeros behind its columns."""
        head_dim, multiple = self.shape.head_dim, max(self.columns, self._kind.scale_columns)
        room = -(-head_dim // multiple) * multiple
        row = Local(room)
        if room > head_dim:
            for number in each(room - head_dim, item, items):
                row[number + head_dim] = f32(0)
        return row

    def store_key(self, kv_head: Expr, slot: Expr, row: Local, item: Expr, items: int) -> None:
        """Emit the store of a key, of which each work-item of a group stores some words."""
        tile, key = T.Bind(slot // TILE), T.Bind(slot % TILE)
        for number, word in self._encoded(row, item, items):
            store(self._keys, kv_head, tile, number, key, value=word)

    def store_value(self, kv_head: Expr, slot: Expr, row: Local, item: Expr, items: int) -> None:
        """Emit the store of a value, of which each work-item of a group stores some words."""
        for number, word in self._encoded(row, item, items):
            store(self._values, kv_head, slot, number, value=word)

    def _encoded(self, row: Local, item: Expr, items: int) -> Iterator[tuple[Expr, Expr]]:
        """Emit loops over a work-item's words and scales of a row; yields number and word."""
        for word in each(self.words, item, items):
            yield word, T.Bind(self._kind.encode(row, word))
        if self._kind.scale is not None:
            for group in each(self._scales, item, items):
                yield group + self.words, T.Bind(bits(self._kind.scale(row, group), "uint32"))

    def key(self, kv_head: Expr, tile: Expr, word: Expr, lane: Expr) -> list[Expr]:
        """Return the columns of one word of a key."""
        return self._decode(lambda number: self._keys[kv_head, tile, number, lane], word)

    def each_word_of_key(
        self, kv_head: Expr, tile: Expr, lane: Expr
    ) -> Iterator[tuple[Expr, list[Expr]]]:
        """Emit loops over the words of a key; yields a word's first column, and its columns."""
        if not self._scales:
            with T.serial(self.words) as word:
                yield word * self.columns, self.key(kv_head, tile, word, lane)
            return
        for first, group, count in self._groups():
            scale = T.Bind(bits(self._keys[kv_head, tile, group + self.words, lane], "float32"))
            with T.serial(count) as index:
                word = T.Bind(first + index)
                code = T.Bind(self._keys[kv_head, tile, word, lane])
                yield word * self.columns, self._kind.decode(code, scale)

    def _groups(self) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit a loop over whole groups of words, then the rest; yields first, number and count."""
        together = self._kind.scale_columns // self.columns
        whole, rest = divmod(self.words, together)
        if whole:
            with T.serial(whole) as group:
                yield group * together, group, together
        if rest:
            yield i32(whole * together), i32(whole), rest

    def value(self, kv_head: Expr, slot: Expr, word: Expr) -> list[Expr]:
        """Return the columns of one word of a value."""
        return self._decode(lambda number: self._values[kv_head, slot, number], word)

    def _decode(self, read: Callable[[Expr], Expr], word: Expr) -> list[Expr]:
        scale = None
        if self._scales:
            group = word // (self._kind.scale_columns // self.columns)
            scale = T.Bind(bits(read(group + self.words), "float32"))
        return self._kind.decode(T.Bind(read(word)), scale)
