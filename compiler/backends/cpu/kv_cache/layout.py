"""How a KV cache lies in memory, whatever the type of its elements.

Position p is at slot p % capacity. Keys are ``[num_kv_heads, capacity / 16, head_dim, 16]``: 16
neighbours are the lanes of vectors, and in float32 a cache line. Values are
``[num_kv_heads, capacity, head_dim]``. Attention takes keys in tiles of neighbouring positions that
lie at multiples of the tile's size, in the text and in the cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr, Isa
from ossc.targets.errors import LoweringError

KEYS = 16
"""Positions whose keys the cache interleaves."""

TILE = 32
"""Positions of a tile; capacities are multiples of it."""

MOST_ELEMENTS = 2**31 - 1
"""Of a buffer: kernels count them in int32."""

ReadKeys = Callable[[Expr], list[Expr]]
"""``(column)`` → that column of the keys, as vectors."""

ReadValues = Callable[[Expr, list[Expr], int], list[Expr]]
"""``(key of the tile, columns, lanes)`` → ``lanes`` elements of its value from each column on."""


class Tile(Protocol):
    """The keys and values of a tile of a key-value head."""

    def keys(self, first: Expr, vectors: int, lanes: int, *, ask: bool) -> ReadKeys:
        """Return how some vectors of keys are read; ``ask`` for those of the next tile then."""

    def values(self, *, ask: bool) -> ReadValues:
        """Return how values are read, but only those that some row sees; ``ask`` likewise."""


@dataclass(frozen=True, kw_only=True)
class CacheShape:
    """The KV cache of one layer.

    Raises:
        LoweringError: It is larger than the kernels' indices reach.
    """

    num_kv_heads: int
    capacity: int
    head_dim: int

    def __post_init__(self) -> None:
        elements = self.num_kv_heads * self.capacity * self.head_dim
        if elements > MOST_ELEMENTS:
            raise LoweringError(
                f"The keys of a layer's {self.capacity} positions are {elements} numbers, and "
                f"kernels reach {MOST_ELEMENTS}; choose a shorter context."
            )

    @property
    def keys(self) -> tuple[int, ...]:
        """Dimensions of the keys."""
        return (self.num_kv_heads, self.capacity // KEYS, self.head_dim, KEYS)

    @property
    def values(self) -> tuple[int, ...]:
        """Dimensions of the values."""
        return (self.num_kv_heads, self.capacity, self.head_dim)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where a position of a key-value head lies."""

    kv_head: Expr
    number: Expr

    @property
    def key(self) -> tuple[Expr, Expr]:
        """The block and the lane of its key."""
        return self.number // KEYS, self.number % KEYS


@dataclass(frozen=True, kw_only=True)
class TilePlace:
    """The first slots of a tile of a key-value head, and of the tile after it."""

    kv_head: Expr
    first: Expr
    following: Expr

    @classmethod
    def of(cls, shape: CacheShape, kv_head: Expr, number: Expr) -> "TilePlace":
        """Return where the tile of that number lies."""
        first, following = (
            T.Bind((number + more) % (shape.capacity // TILE) * TILE) for more in (0, 1)
        )
        return cls(kv_head=kv_head, first=first, following=following)


def key_vectors(first: Expr, vectors: int, lanes: int) -> list[tuple[Expr, int]]:
    """Return block and lane of each vector of keys from the slot ``first`` on."""
    block = T.Bind(first // KEYS)
    return [(block + at // KEYS, at % KEYS) for at in range(0, vectors * lanes, lanes)]


def lanes_of(isa: Isa) -> int:
    """Return the lanes of the widest float32 vectors that the kernels of attention use."""
    return 16 if isa == "avx512_vnni" else v.LANES
