"""A packed matrix in a kernel: where each of its row groups lies."""

from ossc.compiler.backends.cpu.kernels.products.tuning import PREFETCH_BYTES
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import PackedRows, WeightFormat
from ossc.compiler.lowering.kernel import Expr, Isa, KernelBuilder

LARGEST_NEAR_BYTES = 2**31 - 2 * PREFETCH_BYTES
"""Of a matrix whose bytes, and those that are asked for behind it, int32 counts."""


class Matrix:
    """The weight of a product with a single matrix."""

    def __init__(
        self,
        function: KernelBuilder,
        weights: WeightFormat,
        *,
        row_groups: int,
        columns: int,
        isa: Isa,
    ) -> None:
        """Add the parameter: uint8, ``row_groups`` groups of 8 rows."""
        self._weights, self._columns, self._isa = weights, columns, isa
        self._group_bytes = weights.row_group_bytes(columns)
        size_bytes = row_groups * self._group_bytes
        self._buffer = function.buffer("weight", "uint8", size_bytes)
        self._far = size_bytes > LARGEST_NEAR_BYTES

    def rows(self, group: Expr) -> PackedRows:
        """Return the eight rows of a group."""
        number = v.convert(group, "int64") if self._far else group
        offset = number * self._group_bytes
        return self._weights.rows(self._buffer, offset, self._columns, self._isa)
