"""The activations that enter a matrix product: float32, or integers with a scale per 32 columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import (
    TERMS,
    Activation,
    Buffer,
    Expr,
    Isa,
    KernelBuilder,
)
from ossc.compiler.lowering.kernels.quantize_activations import TERM_RANGE
from ossc.compiler.lowering.kernels.weights.format import (
    BLOCK,
    QUAD,
    PackedRows,
    WeightFormat,
)
from ossc.targets.errors import LoweringError

Row = tuple[Expr, ...]
"""The indices of one row of activations: (token,) or (token, slot)."""


class FloatActivations:
    """float32 activations ``[n, …, K]``."""

    def __init__(self, function: KernelBuilder, leading: Sequence[int], columns: int) -> None:
        self._x = function.per_token("x", "float32", *leading, columns)
        self._columns = columns

    def multiply(
        self, weights: WeightFormat, packed: PackedRows, rows: Sequence[Row]
    ) -> v.Registers:
        """Emit the products of 8 packed rows with some rows of activations.

        In a block of 32 columns the even and the odd ones are added apart; that sum is scaled, and
        added to the blocks before.

        Returns:
            For each row of activations a float32x8, one lane for each row of weights.
        """
        total = v.Registers(len(rows))
        total.fill(range(len(rows)), 0)
        whole, rest = divmod(self._columns, BLOCK)
        if whole:
            with T.serial(whole) as block:
                self._add_block(weights, packed, rows, total, block, BLOCK)
        if rest:
            self._add_block(weights, packed, rows, total, v.constant(whole, "int32"), rest)
        return total

    def _add_block(
        self,
        weights: WeightFormat,
        packed: PackedRows,
        rows: Sequence[Row],
        total: v.Registers,
        block: Expr,
        columns: int,
    ) -> None:
        weights.prefetch(packed, block)
        sums = [[v.constant(0, "float32x8")] * 2 for _ in rows]
        for quad in range(-(-columns // QUAD)):
            here = range(quad * QUAD, min(columns, (quad + 1) * QUAD))
            values = weights.values(packed, block, quad, len(here))
            for column in here:
                for row, parts in zip(rows, sums, strict=True):
                    x = v.splat(self._x[(*row, block * BLOCK + column)])
                    part = v.multiply_add(values[column % QUAD], x, parts[column % 2])
                    parts[column % 2] = T.Bind(part)
        scale = weights.scale(packed, block) if weights.scale else v.constant(1, "float32x8")
        for i, (even, odd) in enumerate(sums):
            total[i] = v.multiply_add(even + odd, scale, total[i])


@dataclass(frozen=True)
class _Columns:
    """One int8 term of one block of a row: an `IntegerColumns`."""

    codes: Buffer
    sums: Buffer
    row: Row
    term: Expr
    """Among all terms of the row: block by block, the high one first."""

    def quad(self, index: int) -> Expr:
        column = self.term * BLOCK + index * QUAD
        word = v.bits(v.load(self.codes, *self.row, column, lanes=QUAD), "int32")
        return T.Bind(v.bits(v.splat(word), "int8x32"))

    @property
    def sum(self) -> Expr:
        return self.sums[(*self.row, self.term)]


class IntegerActivations:
    """Integer activations: what `quantize_activations` writes."""

    def __init__(
        self, function: KernelBuilder, leading: Sequence[int], columns: int, terms: int
    ) -> None:
        self._blocks, self._terms = -(-columns // BLOCK), terms
        n_terms = self._blocks * terms
        self._codes = function.per_token("codes", "int8", *leading, n_terms * BLOCK)
        self._scales = function.per_token("scales", "float32", *leading, self._blocks)
        self._sums = function.per_token("sums", "float32", *leading, n_terms)

    def multiply(
        self, weights: WeightFormat, packed: PackedRows, rows: Sequence[Row]
    ) -> v.Registers:
        """Emit the products of 8 packed rows with some rows of activations.

        A block's products are added exactly; the sum is multiplied by the product of the two
        scales, and added to the blocks before.

        Returns:
            For each row of activations a float32x8, one lane for each row of weights.
        """
        total = v.Registers(len(rows))
        total.fill(range(len(rows)), 0)
        assert weights.scale is not None, "integer codes have a scale"
        with T.serial(self._blocks) as block:
            weights.prefetch(packed, block)
            terms = [
                _Columns(self._codes, self._sums, row, block * self._terms + term)
                for row in rows
                for term in range(self._terms)
            ]
            sums = self._join(weights.integer_sums[packed.isa](packed, block, terms))
            weight_scale = T.Bind(weights.scale(packed, block))
            for i, row in enumerate(rows):
                scale = weight_scale * v.splat(self._scales[(*row, block)])
                total[i] = v.multiply_add(sums[i], scale, total[i])
        return total

    def _join(self, sums: list[Expr]) -> list[Expr]:
        """Add the sums of each row's two terms."""
        if self._terms == 1:
            return sums
        weight = v.constant(TERM_RANGE, "float32x8")
        pairs = zip(sums[::2], sums[1::2], strict=True)
        return [T.Bind(v.multiply_add(high, weight, low)) for high, low in pairs]


Activations = FloatActivations | IntegerActivations


def declare_activations(
    function: KernelBuilder,
    activation: Activation,
    leading: Sequence[int],
    columns: int,
    weights: WeightFormat,
    isa: Isa,
) -> Activations:
    """Add the buffers of the activations ``[n, *leading, columns]`` to a function.

    Raises:
        LoweringError: The kernels cannot multiply these weights with this type.
    """
    if activation == "f32":
        return FloatActivations(function, leading, columns)
    if isa not in weights.integer_sums:
        raise LoweringError(
            f"No {isa} kernel multiplies {weights.scheme} weights with {activation} activations; "
            f"use f32 activations for this weight."
        )
    return IntegerActivations(function, leading, columns, TERMS[activation])
