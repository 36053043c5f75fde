"""KV cache in int8: codes of -127 to 127, and a float32 scale for every 32 columns."""

from collections.abc import Iterator

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
from ossc.compiler.lowering.attention_call import CacheBuffer
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa

COLUMNS = 32
"""Columns of a key or value that share a scale (docs/decisions/0006)."""

LARGEST_CODE = 127

SMALLEST = 2.0**-100
"""Columns whose largest magnitude is below it become zeros: its reciprocal is still finite."""


def _groups(shape: CacheShape) -> int:
    return -(-shape.head_dim // COLUMNS)


def buffers(shape: CacheShape) -> tuple[CacheBuffer, ...]:
    """Return the buffers of a layer's cache."""
    heads, blocks, _, keys = shape.keys
    groups = _groups(shape)
    return (
        CacheBuffer(name="keys", dtype="int8", shape=shape.keys),
        CacheBuffer(name="key_scales", dtype="float32", shape=(heads, blocks, groups, keys)),
        CacheBuffer(name="values", dtype="int8", shape=shape.values),
        CacheBuffer(name="value_scales", dtype="float32", shape=(heads, shape.capacity, groups)),
    )


class Int8Cache:
    """The buffers in a kernel."""

    def __init__(self, shape: CacheShape, declared: list[Buffer], isa: Isa) -> None:
        self.shape = shape
        self._lanes = lanes_of(isa)
        self._keys, self._key_scales, self._values, self._value_scales = declared

    def store_key(self, slot: Slot, row: Buffer) -> None:
        """Emit the store of a key ``[head_dim]``."""
        block, lane = slot.key
        for group, first, columns in self._each_group():
            scale, factor = _scale(row, first, columns)
            place = (slot.kv_head, block, group, lane)
            v.store(self._key_scales, *place, value=scale, lanes=1)
            with T.serial(columns) as column:
                code = _code(row[first + column], factor)
                place = (slot.kv_head, block, first + column, lane)
                v.store(self._keys, *place, value=code, lanes=1)

    def store_value(self, slot: Slot, row: Buffer) -> None:
        """Emit the store of a value ``[head_dim]``."""
        for group, first, columns in self._each_group():
            scale, factor = _scale(row, first, columns)
            place = (slot.kv_head, slot.number)
            v.store(self._value_scales, *place, group, value=scale, lanes=1)
            for at, lanes in v.spans(columns):
                code = _code(v.load(row, first + at, lanes=lanes), v.splat(factor, lanes))
                v.store(self._values, *place, first + at, value=code, lanes=lanes)

    def reader(self) -> DecodingReader:
        """Return what opens tiles."""
        return DecodingReader(self)

    def decode_keys(self, place: TilePlace, keys: Buffer) -> None:
        """Emit the decoding of a tile's keys."""
        head = place.kv_head
        with T.serial(TILE // KEYS) as block:
            here, following = (
                T.Bind(tile // KEYS + block) for tile in (place.first, place.following)
            )
            for group, first, columns in self._each_group():
                v.prefetch(self._key_scales, head, following, group, 0)
                lanes = range(0, KEYS, self._lanes)
                scales = [
                    v.load(self._key_scales, head, here, group, lane, lanes=self._lanes)
                    for lane in lanes
                ]
                with T.serial(columns) as index:
                    column = T.Bind(first + index)
                    v.prefetch(self._keys, head, following, column, 0)
                    for lane, scale in zip(lanes, scales, strict=True):
                        code = v.load(self._keys, head, here, column, lane, lanes=self._lanes)
                        value = v.convert(code, "float32") * scale
                        v.store(keys, block, column, lane, value=value, lanes=self._lanes)

    def decode_value(self, place: TilePlace, key: Expr, values: Buffer) -> None:
        """Emit the decoding of one value of the tile."""
        head, here, following = place.kv_head, place.first + key, place.following + key
        for group, first, columns in self._each_group():
            scale = T.Bind(self._value_scales[head, here, group])
            v.prefetch(self._value_scales, head, following, group)
            v.prefetch(self._values, head, following, first)
            for at, lanes in v.spans(columns):
                code = v.load(self._values, head, here, first + at, lanes=lanes)
                value = v.convert(code, "float32") * v.splat(scale, lanes)
                v.store(values, key, first + at, value=value, lanes=lanes)

    def _each_group(self) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit a loop over whole groups, then the rest; yields (group, first column, columns)."""
        whole, rest = divmod(self.shape.head_dim, COLUMNS)
        if whole:
            with T.serial(whole) as group:
                yield group, T.Bind(group * COLUMNS), COLUMNS
        if rest:
            yield v.constant(whole, "int32"), v.constant(whole * COLUMNS, "int32"), rest


def _scale(row: Buffer, first: Expr, columns: int) -> tuple[Expr, Expr]:
    """Return the scale of some columns, and what they are multiplied with to become codes.

    Where one is infinite or NaN the scale is so too: what is decoded does not look finite.
    """
    largest = v.Registers(1, "int32", lanes=1)
    largest.fill([0], 0)
    with T.serial(columns) as column:
        size = v.bits(row[first + column], "int32") & v.constant(0x7FFFFFFF, "int32")
        largest[0] = v.larger(largest[0], T.Bind(size))
    size = T.Bind(v.bits(largest[0], "float32"))
    usable = largest[0] >= v.bits(v.constant(SMALLEST, "float32"), "int32")
    zero, code_range = v.constant(0, "float32"), v.constant(LARGEST_CODE, "float32")
    scale = T.Bind(v.select(usable, size / code_range, zero))
    return scale, T.Bind(v.select(usable, code_range / size, zero))


def _code(value: Expr, factor: Expr) -> Expr:
    return v.convert(v.convert(v.round_to_even(value * factor), "int32"), "int8")
