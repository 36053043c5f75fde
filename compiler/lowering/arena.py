"""Offsets of short-lived buffers: two buffers share bytes when their lives do not overlap.

A greedy best fit by size (the order of "Efficient Memory Management for Deep Neural Net Inference",
Pisarchyk and Lee 2020): the largest buffer is placed first, each at the lowest offset where no
buffer with an overlapping life lies. It replaces Relax's StaticPlanBlockMemory because the plan
needs offsets inside one arena, not storage objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass


def align(size_bytes: int, alignment_bytes: int) -> int:
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


def assign_offsets(
    lifetimes: Sequence[Lifetime], alignment_bytes: int
) -> tuple[tuple[int, ...], int]:
    """Place every buffer.

    Args:
        lifetimes: Of the buffers.
        alignment_bytes: At what multiples they begin.

    Returns:
        The offset of each buffer in bytes, in the order given, and the size of the arena.
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    arena_bytes = 0
    sizes = [align(each.size_bytes, alignment_bytes) for each in lifetimes]
    largest_first = sorted(range(len(lifetimes)), key=lambda i: (-lifetimes[i].size_bytes, i))
    for index in largest_first:
        neighbours = [each for each in placed if lifetimes[each].overlaps(lifetimes[index])]
        taken = [(offsets[each], offsets[each] + sizes[each]) for each in neighbours]
        offsets[index] = _lowest_gap(sorted(taken), sizes[index])
        placed.append(index)
        arena_bytes = max(arena_bytes, offsets[index] + sizes[index])
    return tuple(offsets), arena_bytes


def _lowest_gap(taken: Sequence[tuple[int, int]], size_bytes: int) -> int:
    """Return the lowest offset with so much room; ``taken`` are sorted begins and ends."""
    candidate = 0
    for begin, end in taken:
        if begin - candidate >= size_bytes:
            break
        candidate = max(candidate, end)
    return candidate
