"""Where weights lie: in files of bounded size, each weight in one of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from ossc.compiler.lowering.arena import align
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.manifest import WEIGHTS_NAME

PAGE_BYTES = 4096
"""Alignment of large weights: the unit in which a mapped file is read."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of weights."""

    file: str
    size_bytes: int
    offsets: dict[str, int]
    """Where each weight begins, in bytes, in the order of the file."""


def place_weights(
    weights: Iterable[PackedWeight], alignment_bytes: int, most_bytes: int | None
) -> list[Shard]:
    """Place the weights one after the other.

    Args:
        weights: In the order in which a decoded token reads them.
        alignment_bytes: At what multiples they begin; one of a page or more begins at a page.
        most_bytes: Of a file; None where all weights lie in one. A larger weight has a file of its
            own.

    Returns:
        The files, at least one; their sizes are multiples of a page.
    """
    ends = [0]
    offsets: list[dict[str, int]] = [{}]
    for weight in weights:
        alignment = PAGE_BYTES if weight.size_bytes >= PAGE_BYTES else alignment_bytes
        start = align(ends[-1], alignment)
        if offsets[-1] and most_bytes is not None and start + weight.size_bytes > most_bytes:
            ends.append(0)
            offsets.append({})
            start = 0
        offsets[-1][weight.name] = start
        ends[-1] = start + weight.size_bytes
    return [
        Shard(file=_file(index), size_bytes=align(end, PAGE_BYTES), offsets=of_file)
        for index, (end, of_file) in enumerate(zip(ends, offsets, strict=True))
    ]


def _file(index: int) -> str:
    return WEIGHTS_NAME if index == 0 else WEIGHTS_NAME.replace(".", f".{index:03}.")
