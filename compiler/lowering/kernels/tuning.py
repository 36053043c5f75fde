"""Sizes of tiles and strips for each instruction set, as measured.

``tests/benchmarks/kernel_tuning.py`` measures the neighbours of each entry.
"""

from dataclasses import dataclass
from typing import Literal

from ossc.compiler.lowering.kernels.kernel import Isa


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

    pass_tokens: int = 128
    """Tokens that meet a decoded strip."""


_TILINGS: dict[tuple[Isa, str], Tiling] = {
    ("avx512_vnni", "integer"): Tiling(lanes=16, vectors=2, tokens=(6, 4, 2, 1), strip_blocks=6),
    ("avx512_vnni", "float"): Tiling(lanes=16, vectors=2, tokens=(3, 1), strip_blocks=5),
    ("avx_vnni", "integer"): Tiling(lanes=8, vectors=2, tokens=(4, 2, 1), strip_blocks=6),
    ("avx_vnni", "float"): Tiling(lanes=8, vectors=2, tokens=(2, 1), strip_blocks=5),
    ("avx2", "integer"): Tiling(lanes=8, vectors=2, tokens=(4, 2, 1), strip_blocks=6),
    ("avx2", "float"): Tiling(lanes=8, vectors=2, tokens=(2, 1), strip_blocks=5),
    ("portable", "integer"): Tiling(lanes=8, vectors=1, tokens=(4, 1), strip_blocks=6),
    ("portable", "float"): Tiling(lanes=8, vectors=1, tokens=(4, 1), strip_blocks=5),
}


def tiling(isa: Isa, arithmetic: Literal["integer", "float"]) -> Tiling:
    """Return the sizes for an instruction set."""
    return _TILINGS[isa, arithmetic]
