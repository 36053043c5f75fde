"""Products of gates and ups: row groups of 8 gates, each followed by that of the ups they meet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.glu import gated
from ossc.compiler.backends.cpu.kernels.products.tiles import panel_groups, row_counts
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Buffer, Expr


@dataclass(frozen=True, kw_only=True)
class GluRows:
    """The outputs of a matrix of gates and ups, some groups of 8 at a time."""

    glu: Glu

    outputs: int
    """Of the whole matrix, which has twice as many rows."""

    size: int
    """Groups of outputs that are worked on together."""

    bias: Buffer | None
    """``[2 · outputs]`` float32, or ``[experts, 2 · outputs]``; a gate's before its up's."""

    @property
    def groups(self) -> int:
        """Groups of 8 outputs in all."""
        return -(-self.outputs // ROWS)

    @property
    def panels(self) -> int:
        """How often ``size`` groups are worked on."""
        return -(-self.groups // self.size)

    def row_groups(self, first: Expr) -> list[Expr]:
        """Return the numbers of the row groups that the outputs from a group on are made of."""
        return [
            2 * group + up for group in panel_groups(first, self.groups, self.size) for up in (0, 1)
        ]

    def results(
        self, first: Expr, products: Sequence[Expr], expert: Sequence[Expr] = ()
    ) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit what becomes of the products of ``row_groups(first)``.

        Args:
            first: The first group.
            products: For each row group its 8 products, float32x8.
            expert: The leading index of the bias, if it has one.

        Yields:
            The number of the first output, the values from there on, float32x8, and how many of
            them there are.
        """
        for i, (gates, ups) in enumerate(zip(products[::2], products[1::2], strict=True)):
            row = T.Bind((first + i) * ROWS)
            for count in row_counts(first + i, self.outputs, self.size):
                gate, up = self._add_biases(gates, ups, expert, row, count)
                yield row, gated(self.glu, T.Bind(gate), T.Bind(up)), count

    def _add_biases(
        self, gates: Expr, ups: Expr, expert: Sequence[Expr], row: Expr, count: int
    ) -> tuple[Expr, Expr]:
        bias = self.bias
        if bias is None:
            return gates, ups
        rows = [row + min(lane, count - 1) for lane in range(ROWS)]
        return (
            gates + v.join([bias[(*expert, each * 2)] for each in rows]),
            ups + v.join([bias[(*expert, each * 2 + 1)] for each in rows]),
        )


def groups_at_once(product_groups: int) -> int:
    """Return how many groups of outputs fill as many row groups as a product takes together."""
    return -(-product_groups // 2)
