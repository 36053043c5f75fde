"""Tiles of a cache that holds another type: decoded to float32 once, for all heads and tokens."""

from typing import Protocol

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.kv_cache.layout import (
    KEYS,
    TILE,
    CacheShape,
    ReadKeys,
    ReadValues,
    TilePlace,
    key_vectors,
)
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Buffer, Expr


class Decoder(Protocol):
    """What decodes the elements of a cache."""

    @property
    def shape(self) -> CacheShape:
        """The cache."""

    def decode_keys(self, place: TilePlace, keys: Buffer) -> None:
        """Emit the decoding of a tile's keys to ``[TILE / 16, head_dim, 16]``."""

    def decode_value(self, place: TilePlace, key: Expr, values: Buffer) -> None:
        """Emit the decoding of one value of the tile to its row of ``[TILE, head_dim]``."""


class DecodingReader:
    """Opens tiles by decoding them into scratch memory."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        head_dim = decoder.shape.head_dim
        self._keys = T.alloc_buffer((TILE // KEYS, head_dim, KEYS), "float32")
        self._values = T.alloc_buffer((TILE, head_dim), "float32")

    def open(self, place: TilePlace, seen: Span) -> "DecodedTile":
        """Decode a tile: all keys, and the values of those that are seen."""
        self._decoder.decode_keys(place, self._keys)
        with T.serial(seen.end - seen.begin) as index:
            self._decoder.decode_value(place, T.Bind(seen.begin + index), self._values)
        return DecodedTile(self._keys, self._values)


class DecodedTile:
    """A tile in scratch memory."""

    def __init__(self, keys: Buffer, values: Buffer) -> None:
        self._keys, self._values = keys, values

    def keys(self, first: Expr, vectors: int, lanes: int, *, ask: bool) -> ReadKeys:
        """Return how some vectors of keys are read; the next tile is asked for when decoding."""
        del ask
        places = key_vectors(first, vectors, lanes)

        def read(column: Expr) -> list[Expr]:
            return [v.load(self._keys, block, column, lane, lanes=lanes) for block, lane in places]

        return read

    def values(self, *, ask: bool) -> ReadValues:
        """Return how values are read."""
        del ask

        def read(key: Expr, columns: list[Expr], lanes: int) -> list[Expr]:
            return [v.load(self._values, key, column, lanes=lanes) for column in columns]

        return read
