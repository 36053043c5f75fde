"""KV cache in float32: read where it lies."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.kv_cache.layout import (
    KEYS,
    CacheShape,
    ReadKeys,
    ReadValues,
    Slot,
    TilePlace,
    key_vectors,
)
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.attention_call import CacheBuffer
from ossc.compiler.lowering.kernel import Buffer, Expr


def buffers(shape: CacheShape) -> tuple[CacheBuffer, ...]:
    """Return the buffers of a layer's cache."""
    return (
        CacheBuffer(name="keys", dtype="float32", shape=shape.keys),
        CacheBuffer(name="values", dtype="float32", shape=shape.values),
    )


class Float32Cache:
    """The buffers in a kernel."""

    def __init__(self, shape: CacheShape, declared: list[Buffer]) -> None:
        self.shape = shape
        self._keys, self._values = declared

    def store_key(self, slot: Slot, row: Buffer) -> None:
        """Emit the store of a key ``[head_dim]``."""
        block, lane = slot.key
        with T.serial(self.shape.head_dim) as column:
            value = row[column]
            v.store(self._keys, slot.kv_head, block, column, lane, value=value, lanes=1)

    def store_value(self, slot: Slot, row: Buffer) -> None:
        """Emit the store of a value ``[head_dim]``."""
        for at, lanes in v.spans(self.shape.head_dim):
            value = v.load(row, at, lanes=lanes)
            v.store(self._values, slot.kv_head, slot.number, at, value=value, lanes=lanes)

    def reader(self) -> "Float32Cache":
        """Return what opens tiles."""
        return self

    def open(self, place: TilePlace, seen: Span) -> "Float32Tile":
        """Return a tile."""
        del seen  # nothing is read before it is used
        return Float32Tile(self._keys, self._values, place)


class Float32Tile:
    """A tile where it lies in the cache."""

    def __init__(self, keys: Buffer, values: Buffer, place: TilePlace) -> None:
        self._keys, self._values, self._place = keys, values, place

    def keys(self, first: Expr, vectors: int, lanes: int, *, ask: bool) -> ReadKeys:
        """Return how some vectors of keys are read."""
        head = self._place.kv_head
        here, following = (
            key_vectors(tile + first, vectors, lanes)
            for tile in (self._place.first, self._place.following)
        )

        def read(column: Expr) -> list[Expr]:
            for block, lane in following if ask else []:
                if lane == 0:
                    v.prefetch(self._keys, head, block, column, lane)
            return [
                v.load(self._keys, head, block, column, lane, lanes=lanes) for block, lane in here
            ]

        return read

    def values(self, *, ask: bool) -> ReadValues:
        """Return how values are read."""
        place = self._place

        def read(key: Expr, columns: list[Expr], lanes: int) -> list[Expr]:
            for column in columns[:: KEYS // lanes] if ask and lanes > 1 else []:
                v.prefetch(self._values, place.kv_head, place.following + key, column)
            at = (place.kv_head, place.first + key)
            return [v.load(self._values, *at, column, lanes=lanes) for column in columns]

        return read
