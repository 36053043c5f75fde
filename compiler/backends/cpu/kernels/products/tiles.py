"""How a matrix product is cut: tokens into tiles, rows into groups of 8 whose last may be short."""

from collections.abc import Callable, Iterator, Sequence

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import Expr

Row = tuple[Expr, ...]
"""The indices of one row of activations: (token,) or (token, slot)."""

RowOf = Callable[[Expr], Row]
"""The row of activations that a token of the product has."""


def token_tiles(count: Expr, sizes: Sequence[int]) -> Iterator[tuple[Expr, int]]:
    """Emit a loop for each size and yield (first token, tokens) inside each.

    The first loop takes as many tokens at a time as the first size says, the next ones what
    remains; the caller's body is emitted once in each.
    """
    begin: Expr = v.constant(0, "int32")
    for size in sizes:
        tiles = T.Bind((count - begin) // size)
        with T.serial(tiles) as tile:
            yield T.Bind(begin + tile * size), size
        begin = T.Bind(begin + tiles * size)


def row_counts(group: Expr, rows: int, panel: int = 1) -> Iterator[int]:
    """Emit branches on how many rows a group has, and yield inside each their number.

    Args:
        group: The group's number.
        rows: Rows of the matrix.
        panel: Groups that are worked on together; those of the last panel may lie beyond the rows.
    """
    whole, rest = divmod(rows, ROWS)
    if not rest and whole % panel == 0:
        yield ROWS
        return
    if whole:
        with T.If(group < v.constant(whole, "int32")), T.Then():
            yield ROWS
    if rest:
        with T.If(group == v.constant(whole, "int32")), T.Then():
            yield rest


def panel_groups(first: Expr, groups: int, panel: int) -> list[Expr]:
    """Return the numbers of a panel's row groups; instead of those beyond the last, the last."""
    last = v.constant(groups - 1, "int32")
    numbers = [first + i for i in range(panel)]
    return numbers if groups % panel == 0 else [tvm.tirx.Min(n, last) for n in numbers]
