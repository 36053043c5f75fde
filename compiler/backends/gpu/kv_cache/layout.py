"""How a KV cache lies in a GPU's memory, whatever the type of its elements.

Everything is a word of 32 bits, for no GPU language but OpenCL and CUDA has shorter ones: a word
holds one float32, two float16 or four int8 of neighbouring columns. Position p is at slot
p % capacity. Keys are ``[num_kv_heads, capacity / 64, words, 64]``: neighbouring work-items take
the keys of neighbouring positions, and read neighbouring words. Values are
``[num_kv_heads, capacity, words]``: neighbouring work-items take neighbouring columns. Scales,
where the type has some, are float32 and lie behind the words that they belong to.
"""

from dataclasses import dataclass

from ossc.targets.errors import LoweringError

TILE = 64
"""Positions whose keys are interleaved; capacities are multiples of it."""

MOST_WORDS = 2**31 - 1
"""Of a buffer: kernels count them in int32."""


@dataclass(frozen=True, kw_only=True)
class CacheShape:
    """The KV cache of one layer."""

    num_kv_heads: int
    capacity: int
    head_dim: int

    @property
    def tiles(self) -> int:
        """Of a key-value head."""
        return self.capacity // TILE

    def keys(self, words: int) -> tuple[int, ...]:
        """Return the dimensions of keys of so many words."""
        return self._checked((self.num_kv_heads, self.tiles, words, TILE), words)

    def values(self, words: int) -> tuple[int, ...]:
        """Return the dimensions of values of so many words."""
        return self._checked((self.num_kv_heads, self.capacity, words), words)

    def _checked(self, dims: tuple[int, ...], words: int) -> tuple[int, ...]:
        count = self.num_kv_heads * self.capacity * words
        if count > MOST_WORDS:
            raise LoweringError(
                f"The keys of a layer's {self.capacity} positions are {count} words, and kernels "
                f"reach {MOST_WORDS}; choose a shorter context or a smaller type of KV caches."
            )
        return dims
