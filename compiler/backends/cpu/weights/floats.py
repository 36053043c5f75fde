"""What the formats without codes share: one float a weight, and no scale.

Eight rows of K columns: for each column the 8 rows' values.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK, QUAD, ROWS, PackedRows, WeightFormat
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa

Widen = Callable[[Expr, Isa], Expr]
"""``(stored lanes, instruction set)`` → float32 lanes."""


def float_format(*, scheme: str, value_bytes: int, loaded_as: str, widen: Widen) -> WeightFormat:
    """Return the format of a float type.

    Args:
        scheme: The scheme's name.
        value_bytes: Of one weight.
        loaded_as: The type of the lanes that ``widen`` takes.
        widen: Converts them to float32, exactly.
    """
    column_bytes = ROWS * value_bytes

    def pack(weight: NDArray[np.generic]) -> NDArray[np.uint8]:
        rows, columns = weight.shape
        groups = weight.reshape(-1, ROWS, columns).transpose(0, 2, 1)
        return np.ascontiguousarray(groups).reshape(rows // ROWS, -1).view(np.uint8)

    def values(rows: PackedRows, block: Expr, quad: int, count: int) -> list[Expr]:
        columns = [block * BLOCK + (quad * QUAD + column) for column in range(count)]
        return [
            widen(rows.bytes(c * column_bytes, column_bytes, loaded_as), rows.isa) for c in columns
        ]

    def value(buffer: Buffer, offset: Expr, row: Expr, column: Expr) -> Expr:
        at = offset + (column * ROWS + row) * value_bytes
        stored = v.load(buffer, at, lanes=value_bytes)
        return widen(v.bits(stored, loaded_as), "portable")  # all instruction sets share the lookup

    return WeightFormat(
        scheme=scheme,
        row_group_bytes=lambda columns: columns * column_bytes,
        pack=pack,
        block_bytes=BLOCK * column_bytes,
        scale=None,
        values=values,
        codes=None,
        wide_codes=None,
        integer_sums={},
        value=value,
    )
