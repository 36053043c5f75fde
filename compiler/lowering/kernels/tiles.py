"""How a matrix product is cut: tokens into tiles, rows into groups of 8 whose last may be short."""

from collections.abc import Iterator

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Expr
from ossc.compiler.lowering.kernels.weights.format import ROWS

TOKENS = 4
"""Tokens that share one decoding of the weights; their sums and one weight fit in 16 registers."""


def token_tiles(begin: Expr, count: Expr) -> Iterator[tuple[Expr, int]]:
    """Emit loops over ``count`` tokens from ``begin`` and yield (first, tokens) inside each.

    The first loop takes `TOKENS` at a time, the second what remains one by one; the caller's body
    is emitted once in each. A single token needs no loop.
    """
    if isinstance(count, int) and count == 1:
        yield begin, 1
        return
    tiles = T.Bind(count // TOKENS)
    with T.serial(tiles) as tile:
        yield begin + tile * TOKENS, TOKENS
    with T.serial(count - tiles * TOKENS) as rest:
        yield begin + tiles * TOKENS + rest, 1


def row_counts(group: Expr, rows: int) -> Iterator[int]:
    """Emit branches on whether a group is whole and yield inside each how many rows it has."""
    whole, rest = divmod(rows, ROWS)
    if rest and whole:
        with T.If(group < v.constant(whole, "int32")):
            with T.Then():
                yield ROWS
            with T.Else():
                yield rest
    else:
        yield rest or ROWS
