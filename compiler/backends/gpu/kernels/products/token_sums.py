"""The products of one token with groups of sixteen rows, as a GPU or as a CPU computes them."""

from collections.abc import Iterator, Sequence

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.kernel_builder import GpuKernelBuilder, Item
from ossc.compiler.backends.gpu.kernels.products import row_sums, row_vectors
from ossc.compiler.backends.gpu.kernels.products.matrix import Column, Matrix
from ossc.compiler.backends.gpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import Expr

BLOCK_OF_ITEMS = row_sums.BLOCK_OF_ITEMS
"""A group's, for `GpuKernelBuilder.grid`."""


def token_sums(
    function: GpuKernelBuilder, item: Item, matrix: Matrix, groups: Sequence[Expr], x: Column
) -> Iterator[tuple[Expr, list[Expr]]]:
    """Emit the products of some groups of rows with a vector, each row's once.

    Args:
        function: Says in which form.
        item: Of groups of `BLOCK_OF_ITEMS`.
        matrix: Of the rows.
        groups: The numbers of groups of 16 rows.
        x: The vector.

    Yields:
        A row's number in its group, and the products of the groups' rows of that number, float32.
    """
    if function.vectors:
        with T.If(item.is_first), T.Then():
            sums = row_vectors.row_vectors([matrix.rows(group) for group in groups], x)
            with T.serial(ROWS) as lane:
                yield lane, [T.Bind(each[lane]) for each in sums]
    else:
        rows = [matrix.row(group, item.lane) for group in groups]
        totals = row_sums.row_sums(item, rows, x)
        with T.If(item.local[1].equal(0)), T.Then():
            yield item.lane, totals
