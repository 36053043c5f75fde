"""What a scheme must say about its packed weights: sizes, packing, and the code that decodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.tuning import PREFETCH_BYTES
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa
from ossc.targets.errors import LoweringError

BLOCK = 32
"""Columns that share one scale, of weights and of int8 activations."""

ROWS = v.LANES
"""Rows that are packed together."""

QUAD = 4
"""Columns whose int8 codes fill one 32-bit lane."""

CACHE_LINE_BYTES = 64


@dataclass(frozen=True)
class PackedRows:
    """Eight packed rows in a kernel: where they start, and what is needed to read them."""

    buffer: Buffer
    offset: Expr
    """Bytes from the start of the buffer."""

    columns: int
    isa: Isa

    def bytes(self, offset: Expr, count: int, dtype: str = "uint8") -> Expr:
        """Read ``count`` bytes at ``offset`` from the rows' start, as a vector of ``dtype``."""
        raw = v.load(self.buffer, self.offset + offset, lanes=count)
        lanes = count * 8 // tvm.DataType(dtype).bits
        return raw if dtype == "uint8" else v.bits(raw, f"{dtype}x{lanes}")

    def prefetch(self, offset: Expr, count: int) -> None:
        """Ask for the ``count`` bytes at ``offset``."""
        for line in range(0, count, CACHE_LINE_BYTES):
            byte = self.buffer[self.offset + offset + line]
            arguments = [v.constant(value, "int32") for value in (0, 3, 1)]
            address = tvm.tirx.address_of(byte)
            T.evaluate(tvm.tirx.call_llvm_intrin("void", "llvm.prefetch", address, *arguments))


def join_blocks(codes: NDArray[np.uint8], scales: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Put the scales of 8 rows behind the codes of each block, so that all is read in one stream.

    Args:
        codes: ``[g, n_blocks, ...]``.
        scales: ``[8·g, n_blocks]``, of any type.

    Returns:
        ``[g, bytes of all blocks]``.
    """
    n_groups, n_blocks = codes.shape[:2]
    by_block = np.ascontiguousarray(scales.reshape(n_groups, ROWS, n_blocks).transpose(0, 2, 1))
    parts = [each.view(np.uint8).reshape(n_groups, n_blocks, -1) for each in (codes, by_block)]
    return np.concatenate(parts, axis=2).reshape(n_groups, -1)


def whole_columns(scheme: str, columns: int, multiple: int) -> int:
    """Return a number of columns that a scheme can store.

    Raises:
        LoweringError: It is not a multiple of what the scheme stores together.
    """
    if columns % multiple:
        raise LoweringError(
            f"A matrix has {columns} columns, and {scheme} stores {multiple} of them together; "
            f"choose another scheme for it."
        )
    return columns


class IntegerColumns(Protocol):
    """One token's int8 activations of a block of 32 columns."""

    def quad(self, index: int) -> Expr:
        """Columns 4·index to 4·index + 3, repeated in the 8 lanes: int8x32."""

    def quads(self, low: int, high: int) -> Expr:
        """Two quads of columns, each repeated in 8 lanes: int8x64."""

    @property
    def sum(self) -> Expr:
        """The sum of the block's 32 codes: float32."""


IntegerSums = Callable[[PackedRows, Expr, Sequence[IntegerColumns]], list[Expr]]
"""``(rows, block, tokens)`` → for each token the sum of a block's products, exact: float32x8."""


WideCodes = tuple[Expr, int, int]
"""Codes int8x64 of 8 rows: the quad of columns in the lower half, that in the upper."""


@dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """A scheme's packed form: 8 rows of K columns are ``row_group_bytes(K)`` consecutive bytes."""

    scheme: str

    row_group_bytes: Callable[[int], int]

    pack: Callable[..., NDArray[np.uint8]]
    """``pack(*parts)`` of ``[8·g, K]`` weights gives ``[g, row_group_bytes]``."""

    block_bytes: int
    """Bytes that a block of 32 columns takes in 8 rows, with its scales."""

    scale: Callable[[PackedRows, Expr], Expr] | None
    """``(rows, block)`` → the scales of a block, float32x8; None where codes are the values."""

    values: Callable[[PackedRows, Expr, int, int], list[Expr]]
    """``(rows, block, quad, count)`` → at least ``count`` of the quad's four columns, without
    their scale, each float32x8."""

    codes: Callable[[PackedRows, Expr, int], Expr] | None
    """``(rows, block, quad)`` → the quad's signed codes, -127 to 127, without their scale: int8x32,
    byte 4r + c is row r's column c. None where only float32 activations are multiplied."""

    wide_codes: Callable[[PackedRows, Expr], Iterator[WideCodes]] | None
    """``(rows, block)`` → the same codes of the whole block, for registers of 512 bits."""

    integer_sums: Mapping[Isa, IntegerSums]
    """How int8 activations are multiplied; empty where only float32 ones are."""

    value: Callable[[Buffer, Expr, Expr, Expr], Expr]
    """``(buffer, offset, row, column)`` → one weight, float32; ``offset`` is the byte at which its
    eight rows begin."""

    def rows(self, buffer: Buffer, offset: Expr, columns: int, isa: Isa) -> PackedRows:
        """Return the eight rows that start at ``offset``."""
        return PackedRows(buffer, offset, columns, isa)

    def prefetch(self, rows: PackedRows, block: Expr) -> None:
        """Ask for what is read some blocks after this one: row groups follow each other."""
        rows.prefetch(block * self.block_bytes + PREFETCH_BYTES, self.block_bytes)

    def prefetch_block(self, rows: PackedRows, block: Expr) -> None:
        """Ask for a block of these rows, or of those that follow."""
        rows.prefetch(block * self.block_bytes, self.block_bytes)
