"""KV cache in float16."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kv_cache.decoded import DecodingReader
from ossc.compiler.backends.cpu.kv_cache.layout import (
    KEYS,
    TILE,
    CacheShape,
    Slot,
    TilePlace,
    lanes_of,
)
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.half import from_half, to_half
from ossc.compiler.lowering.attention_call import CacheBuffer
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa


def buffers(shape: CacheShape) -> tuple[CacheBuffer, ...]:
    """Return the buffers of a layer's cache."""
    return (
        CacheBuffer(name="keys", dtype="float16", shape=shape.keys),
        CacheBuffer(name="values", dtype="float16", shape=shape.values),
    )


class Float16Cache:
    """The buffers in a kernel."""

    def __init__(self, shape: CacheShape, declared: list[Buffer], isa: Isa) -> None:
        self.shape = shape
        self._keys, self._values = declared
        self._isa, self._lanes = isa, lanes_of(isa)

    def store_key(self, slot: Slot, row: Buffer) -> None:
        """Emit the store of a key ``[head_dim]``."""
        block, lane = slot.key
        with T.serial(self.shape.head_dim) as column:
            value = to_half(T.Bind(row[column]), self._isa)
            v.store(self._keys, slot.kv_head, block, column, lane, value=value, lanes=1)

    def store_value(self, slot: Slot, row: Buffer) -> None:
        """Emit the store of a value ``[head_dim]``."""
        for at, lanes in v.spans(self.shape.head_dim):
            value = to_half(v.load(row, at, lanes=lanes), self._isa)
            v.store(self._values, slot.kv_head, slot.number, at, value=value, lanes=lanes)

    def reader(self) -> DecodingReader:
        """Return what opens tiles."""
        return DecodingReader(self)

    def decode_keys(self, place: TilePlace, keys: Buffer) -> None:
        """Emit the decoding of a tile's keys."""
        with T.serial(TILE // KEYS) as block:
            here, following = (
                T.Bind(tile // KEYS + block) for tile in (place.first, place.following)
            )
            with T.serial(self.shape.head_dim) as column:
                v.prefetch(self._keys, place.kv_head, following, column, 0)
                for lane in range(0, KEYS, self._lanes):
                    half = v.load(self._keys, place.kv_head, here, column, lane, lanes=self._lanes)
                    value = from_half(half, self._isa)
                    v.store(keys, block, column, lane, value=value, lanes=self._lanes)

    def decode_value(self, place: TilePlace, key: Expr, values: Buffer) -> None:
        """Emit the decoding of one value of the tile."""
        for column, lanes in v.spans(self.shape.head_dim):
            v.prefetch(self._values, place.kv_head, place.following + key, column)
            half = v.load(self._values, place.kv_head, place.first + key, column, lanes=lanes)
            v.store(values, key, column, value=from_half(half, self._isa), lanes=lanes)
