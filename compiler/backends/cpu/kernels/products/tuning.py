"""Sizes that were measured: tiles and strips of each instruction set, and how far to look ahead.

``tests/benchmarks/kernel_tuning.py`` measures the tiles and strips and their neighbours,
``tests/benchmarks/kernel_bandwidth.py`` the products of a single token; docs/performance-log.md
says what else was tried. The size of a prefill chunk is the target's (``targets/``).
"""

from dataclasses import dataclass
from typing import Literal

from ossc.compiler.lowering.kernel import Isa

Arithmetic = Literal["integer", "float"]

PREFETCH_BYTES = 10 << 10
"""How far ahead of its reads a token's product asks for weights."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How the products of a chunk are cut."""

    lanes: int
    """32-bit lanes of a register."""

    vectors: int
    """Registers of rows that meet a token at a time."""

    tokens: tuple[int, ...]
    """Tokens of a tile, the largest first; the last is 1."""

    pairs: int = 1
    """Pairs of columns for each turn of the innermost loop; more are not kept in order by LLVM."""

    strip_blocks: int
    """Blocks of 32 columns that are decoded at a time."""

    direct: tuple[int, ...] = (4, 2, 1)
    """Integers only: tokens that meet weights in registers at a time, the largest first."""

    direct_tokens: int = 4
    """Integers only: up to so many tokens make no panel in memory."""

    pass_tokens: int = 128
    """Tokens that meet a decoded strip."""


TILINGS: dict[tuple[Isa, Arithmetic], Tiling] = {
    ("avx512_vnni", "integer"): Tiling(lanes=16, vectors=2, tokens=(6, 4, 2, 1), strip_blocks=6),
    ("avx512_vnni", "float"): Tiling(lanes=16, vectors=2, tokens=(3, 1), strip_blocks=5),
    ("avx_vnni", "integer"): Tiling(lanes=8, vectors=2, tokens=(4, 2, 1), strip_blocks=6),
    ("avx_vnni", "float"): Tiling(lanes=8, vectors=2, tokens=(2, 1), strip_blocks=5),
    ("avx2", "integer"): Tiling(lanes=8, vectors=2, tokens=(4, 2, 1), strip_blocks=6),
    ("avx2", "float"): Tiling(lanes=8, vectors=2, tokens=(2, 1), strip_blocks=5),
    ("portable", "integer"): Tiling(lanes=8, vectors=1, tokens=(4, 1), strip_blocks=6),
    ("portable", "float"): Tiling(lanes=8, vectors=1, tokens=(4, 1), strip_blocks=5),
}


def tiling(isa: Isa, arithmetic: Arithmetic) -> Tiling:
    """Return the sizes for an instruction set."""
    return TILINGS[isa, arithmetic]
