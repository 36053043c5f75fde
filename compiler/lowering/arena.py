"""Offsets of short-lived buffers: two buffers share bytes when their lives do not overlap.

A greedy best fit by size (the order of "Efficient Memory Management for Deep Neural Net Inference",
Pisarchyk and Lee 2020): the largest buffer is placed first, each at the lowest offset where no
buffer with an overlapping life lies. It replaces Relax's StaticPlanBlockMemory because the plan
needs offsets inside one arena, not storage objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT_BYTES = 64
"""A cache line, and what TVM-generated code expects of a buffer's address."""


def align(size_bytes: int, alignment_bytes: int = ALIGNMENT_BYTES) -> int:
    """Round ``size_bytes`` up to a multiple of ``alignment_bytes``."""
    return -(-size_bytes // alignment_bytes) * alignment_bytes


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """A buffer's size and the steps, first to last inclusive, at which its bytes matter."""

    size_bytes: int
    first_step: int
    last_step: int

    def overlaps(self, other: "Lifetime") -> bool:
        """Whether some step needs both buffers."""
        return self.first_step <= other.last_step and other.first_step <= self.last_step


def assign_offsets(lifetimes: Sequence[Lifetime]) -> tuple[tuple[int, ...], int]:
    """Place every buffer.

    Returns:
        The offset of each buffer in bytes, in the order given, and the size of the arena.
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    arena_bytes = 0
    largest_first = sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size_bytes, i))
    for index in largest_first:
        offsets[index] = _lowest_gap(lifetimes, offsets, placed, index)
        placed.append(index)
        arena_bytes = max(arena_bytes, offsets[index] + align(lifetimes[index].size_bytes))
    return tuple(offsets), arena_bytes


def _lowest_gap(
    lifetimes: Sequence[Lifetime], offsets: Sequence[int], placed: Sequence[int], index: int
) -> int:
    needed = align(lifetimes[index].size_bytes)
    neighbours = sorted(
        (offsets[other], offsets[other] + align(lifetimes[other].size_bytes))
        for other in placed
        if lifetimes[other].overlaps(lifetimes[index])
    )
    candidate = 0
    for begin, end in neighbours:
        if begin - candidate >= needed:
            break
        candidate = max(candidate, end)
    return candidate
