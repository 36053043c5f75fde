"""The products of one token: a work-item takes some blocks of a row, and a group adds them up.

In x are the 16 rows that lie together, in y shares of their blocks.
"""

from collections.abc import Sequence

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import (
    Local,
    Registers,
    at_most,
    barrier,
    f32,
    i32,
    select,
)
from ossc.compiler.backends.gpu.kernel_builder import Item
from ossc.compiler.backends.gpu.kernels.products.matrix import Column
from ossc.compiler.backends.gpu.weights.format import BLOCK, ROWS, PackedRow, count_blocks
from ossc.compiler.lowering.kernel import Expr

SHARES = 8
"""Work-items that share a row's blocks."""

BLOCK_OF_ITEMS = (ROWS, SHARES)
"""A group's, for `GpuKernelBuilder.grid`."""


def row_sums(item: Item, rows: Sequence[PackedRow], x: Column) -> list[Expr]:
    """Emit the products of some rows with a vector.

    Args:
        item: Of groups of `BLOCK_OF_ITEMS`.
        rows: Of equal length and scheme; each lane has its own.
        x: The vector.

    Returns:
        The products of the lane's rows, float32, the same in all shares.
    """
    sums = Registers(len(rows))
    sums.clear()
    blocks, share = count_blocks(rows[0].columns), item.local[1]
    with T.serial(-(-blocks // SHARES)) as turn:
        number = T.Bind(turn * SHARES + share)
        if blocks % SHARES:
            _add_block(sums, rows, T.Bind(at_most(number, blocks - 1)), x, number < blocks)
        else:
            _add_block(sums, rows, number, x)
    return _add_shares(item, sums)


def _add_block(
    sums: Registers,
    rows: Sequence[PackedRow],
    block: Expr,
    x: Column,
    counts: Expr | None = None,
) -> None:
    """Emit the products with a block, which are added if it counts.

    Without a branch PoCL takes half the time, and what no share has left is a block or none.
    """
    weights = rows[0].weights
    totals: list[Expr] = [None] * len(rows)
    for number in range(weights.block_words):
        words = [row.word(block, number) for row in rows]
        first = block * BLOCK + number * weights.word_columns
        activations = [T.Bind(x(first + i)) for i in range(weights.word_columns)]
        for index, word in enumerate(words):
            for value, activation in zip(weights.values(word), activations, strict=True):
                product = value * activation
                total = totals[index]
                totals[index] = T.Bind(product if total is None else total + product)
    for index, row in enumerate(rows):
        scale = row.scale(block)
        total = totals[index] if scale is None else totals[index] * scale
        sums.add(index, total if counts is None else select(counts, total, f32(0)))


def _add_shares(item: Item, sums: Registers) -> list[Expr]:
    lane, share = item.local[:2]
    shared = Local(sums.count, SHARES, ROWS)
    for index in range(sums.count):
        shared[index, share, lane] = sums[index]
    barrier()
    return [_sum([shared[index, i32(each), lane] for each in range(SHARES)])
            for index in range(sums.count)]  # fmt: skip


def _sum(values: Sequence[Expr]) -> Expr:
    """Add pairs of neighbours, and their sums again."""
    while len(values) > 1:
        values = [T.Bind(a + b) for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]
