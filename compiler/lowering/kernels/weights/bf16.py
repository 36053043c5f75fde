"""bfloat16: the upper half of a float32, two bytes a weight and no scale.

Eight rows of K columns: for each column the 8 rows' values.
"""

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Buffer, Expr
from ossc.compiler.lowering.kernels.weights.format import (
    BLOCK,
    QUAD,
    ROWS,
    PackedRows,
    WeightFormat,
)

VALUE_BYTES = 2


def widen(halves: Expr) -> Expr:
    """Convert bfloat16 bits, uint16 in each lane, to float32."""
    words = v.convert(halves, "uint32")
    shifted = words << v.constant(16, v.dtype_of(words))
    return v.bits(shifted, v.dtype_of(words).replace("uint", "float"))


def _pack(weight: NDArray[np.generic]) -> NDArray[np.uint8]:
    rows, columns = weight.shape
    groups = weight.view(np.uint16).reshape(-1, ROWS, columns).transpose(0, 2, 1)
    return np.ascontiguousarray(groups).reshape(rows // ROWS, -1).view(np.uint8)


def _pack_embedding(weight: NDArray[np.generic]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(weight).view(np.uint8)


def _values(rows: PackedRows, block: Expr, quad: int, count: int) -> list[Expr]:
    columns = [block * BLOCK + (quad * QUAD + column) for column in range(count)]
    bytes_a_column = ROWS * VALUE_BYTES
    return [widen(rows.bytes(c * bytes_a_column, bytes_a_column, "uint16")) for c in columns]


def _embedding_values(buffer: Buffer, row: Expr, columns: int, column: Expr) -> Expr:
    del columns
    return widen(v.bits(v.load(buffer, row + column * VALUE_BYTES, lanes=VALUE_BYTES), "uint16"))


FORMAT = WeightFormat(
    scheme="bf16",
    row_group_bytes=lambda columns: columns * ROWS * VALUE_BYTES,
    pack=_pack,
    block_bytes=BLOCK * ROWS * VALUE_BYTES,
    scale=None,
    values=_values,
    codes=None,
    wide_codes=None,
    integer_sums={},
    embedding_row_bytes=lambda columns: columns * VALUE_BYTES,
    pack_embedding=_pack_embedding,
    embedding_values=_embedding_values,
)
