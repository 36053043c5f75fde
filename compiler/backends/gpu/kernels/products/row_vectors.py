"""The products of one token where OpenCL C is compiled for a CPU: one work-item has sixteen rows.

PoCL makes vector code of a loop over work-items only where no loop is inside, and a product is one.
So the lanes are written out: the words of sixteen rows, which are neighbours, are one vector. The
first work-item of a group does all, so that nothing is added up across a barrier, where PoCL cuts
the loop over work-items; the others end at once.
"""

from collections.abc import Sequence

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Registers, broadcast
from ossc.compiler.backends.gpu.kernels.products.matrix import Column
from ossc.compiler.backends.gpu.weights.format import BLOCK, ROWS, PackedRows, count_blocks
from ossc.compiler.lowering.kernel import Expr

CHAINS = 2
"""Sums of a row's block that do not wait for each other."""


def row_vectors(rows: Sequence[PackedRows], x: Column) -> list[Registers]:
    """Emit the products of some groups of rows with a vector.

    Args:
        rows: Each the sixteen of a group; of equal length and scheme.
        x: The vector.

    Returns:
        For each group its rows' products, float32.
    """
    sums = Registers(len(rows), lanes=ROWS)
    sums.clear()
    with T.serial(count_blocks(rows[0].columns)) as block:
        for index, total in enumerate(_block(rows, block, x)):
            sums.add(index, total)
    return [_numbers(sums[index]) for index in range(len(rows))]


def _block(rows: Sequence[PackedRows], block: Expr, x: Column) -> list[Expr]:
    """Emit the products with a block."""
    weights = rows[0].weights
    chains: list[list[Expr]] = [[None] * CHAINS for _ in rows]
    for number in range(weights.block_words):
        first = number * weights.word_columns
        for index, row in enumerate(rows):
            for i, value in enumerate(row.values(row.word(block, number))):
                activation = T.Bind(x(block * BLOCK + first + i))
                product = value * broadcast(activation, ROWS)
                chain = (first + i) % CHAINS
                total = chains[index][chain]
                chains[index][chain] = T.Bind(product if total is None else total + product)
    return [_scaled(row, block, chain) for row, chain in zip(rows, chains, strict=True)]


def _scaled(row: PackedRows, block: Expr, chain: Sequence[Expr]) -> Expr:
    total, scale = chain[0] + chain[1], row.scale(block)
    return total if scale is None else total * scale


def _numbers(vector: Expr) -> Registers:
    """Emit the numbers of a vector, one after the other."""
    numbers = Registers(ROWS)
    numbers[T.Ramp(0, 1, ROWS)] = vector
    return numbers
