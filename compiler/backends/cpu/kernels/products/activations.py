"""The activations that enter a matrix product: float32, or integers with a scale per 32 columns.

A product has one form for a single token and one for a chunk. A single token's integers are int8
terms, whose bytes meet the bytes of the weights; a chunk's are int16 codes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.direct import DirectProduct
from ossc.compiler.backends.cpu.kernels.products.panel import FloatStrip, IntegerStrip, PanelProduct
from ossc.compiler.backends.cpu.kernels.products.quantize_activations import TERM_RANGE
from ossc.compiler.backends.cpu.kernels.products.tiles import Row, RowOf
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK, QUAD, PackedRows, WeightFormat
from ossc.compiler.lowering.kernel import TERMS, Activation, Buffer, Expr, Isa, KernelBuilder
from ossc.targets.errors import LoweringError


class Product(Protocol):
    """Multiplies packed rows with activations."""

    groups: int
    """Row groups of 8 that are multiplied together."""

    def multiply(
        self, panel: Sequence[PackedRows], count: Expr, row_of: RowOf
    ) -> Iterator[tuple[Expr, list[Expr]]]:
        """Emit the products of row groups with ``count`` tokens, and a loop over the results.

        Yields:
            The token's number, and for each row group its 8 products, float32x8.
        """


class TokenProduct:
    """The products of a single token; ``multiply_panel(panel, row)`` does all row groups'.

    Row groups that are multiplied together follow each other in memory.
    """

    groups = 1

    def __init__(self, multiply_panel: Callable[[Sequence[PackedRows], Row], list[Expr]]) -> None:
        self._multiply_panel = multiply_panel

    def multiply(
        self, panel: Sequence[PackedRows], count: Expr, row_of: RowOf
    ) -> Iterator[tuple[Expr, list[Expr]]]:
        """Emit the products of the token; there is no loop."""
        del count
        token = v.constant(0, "int32")
        yield token, self._multiply_panel(panel, row_of(token))


class FloatActivations:
    """float32 activations ``[1, …, K]`` of a token."""

    def __init__(self, weights: WeightFormat, x: Buffer, columns: int) -> None:
        self._weights, self._x, self._columns = weights, x, columns

    def multiply_panel(self, panel: Sequence[PackedRows], row: Row) -> list[Expr]:
        """Emit the products of each 8 packed rows with a row of activations."""
        return [self._multiply_rows(rows, row) for rows in panel]

    def _multiply_rows(self, rows: PackedRows, row: Row) -> Expr:
        """Emit the products of 8 packed rows.

        In a block of 32 columns the even and the odd ones are added apart; that sum is scaled, and
        added to the blocks before.
        """
        total = v.Registers(1)
        total.fill([0], 0)
        whole, rest = divmod(self._columns, BLOCK)
        if whole:
            with T.serial(whole) as block:
                self._add_block(rows, row, total, block, BLOCK)
        if rest:
            self._add_block(rows, row, total, v.constant(whole, "int32"), rest)
        return total[0]

    def _add_block(
        self, rows: PackedRows, row: Row, total: v.Registers, block: Expr, columns: int
    ) -> None:
        weights = self._weights
        weights.prefetch(rows, block)
        parts: list[Expr] = [v.constant(0, "float32x8")] * 2
        for quad in range(-(-columns // QUAD)):
            here = range(quad * QUAD, min(columns, (quad + 1) * QUAD))
            values = weights.values(rows, block, quad, len(here))
            for column in here:
                x = v.splat(self._x[(*row, block * BLOCK + column)])
                part = v.multiply_add(values[column % QUAD], x, parts[column % 2])
                parts[column % 2] = T.Bind(part)
        scale = weights.scale(rows, block) if weights.scale else v.constant(1, "float32x8")
        total[0] = v.multiply_add(parts[0] + parts[1], scale, total[0])


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

    def quads(self, low: int, high: int) -> Expr:
        block = v.load(self.codes, *self.row, self.term * BLOCK, lanes=BLOCK)
        words = T.Bind(v.bits(block, "int32x8"))
        chosen = v.shuffle(words, [low] * v.LANES + [high] * v.LANES)
        return T.Bind(v.bits(chosen, "int8x64"))

    @property
    def sum(self) -> Expr:
        return self.sums[(*self.row, self.term)]


@dataclass(frozen=True, kw_only=True)
class IntegerActivations:
    """int8 terms of a token, as `quantize_activations` writes them."""

    weights: WeightFormat
    codes: Buffer
    scales: Buffer
    sums: Buffer
    terms: int

    def multiply_panel(self, panel: Sequence[PackedRows], row: Row) -> list[Expr]:
        """Emit the products of each 8 packed rows with a row of activations.

        A block's products are added exactly; the sum is multiplied by the product of the two
        scales, and added to the blocks before. One loop walks through all row groups: processors
        fetch ahead of an instruction whose addresses grow evenly, and with a loop for each group
        every instruction would skip those of the others.
        """
        weights, rows = self.weights, panel[0]
        assert weights.scale is not None, "integer codes have a scale"
        blocks, last = int(self.scales.ty.shape[-1]), len(panel) - 1
        totals = v.Registers(len(panel))
        totals.fill(range(len(panel)), 0)
        with T.serial(len(panel) * blocks) as place:
            for group in range(last):
                with T.If(place == v.constant((group + 1) * blocks, "int32")), T.Then():
                    totals[group] = totals[last]
                    totals.fill([last], 0)
            weights.prefetch(rows, place)
            block = T.Bind(place % blocks)
            terms = [
                _Columns(self.codes, self.sums, row, block * self.terms + term)
                for term in range(self.terms)
            ]
            product = self._join(weights.integer_sums[rows.isa](rows, place, terms))
            scale = T.Bind(weights.scale(rows, place)) * v.splat(self.scales[(*row, block)])
            totals[last] = v.multiply_add(product, scale, totals[last])
        return [totals[i] for i in range(len(panel))]

    def _join(self, sums: list[Expr]) -> Expr:
        """Add the sums of the terms."""
        if self.terms == 1:
            return sums[0]
        high, low = sums
        return T.Bind(v.multiply_add(high, v.constant(TERM_RANGE, "float32x8"), low))


def declare_activations(
    function: KernelBuilder,
    activation: Activation,
    leading: Sequence[int],
    columns: int,
    weights: WeightFormat,
    isa: Isa,
) -> Product:
    """Add the buffers of the activations ``[n, *leading, columns]`` to a function.

    Returns:
        What multiplies them: a single token, or as many as the call has.

    Raises:
        LoweringError: The kernels cannot multiply these weights with this type.
    """
    if activation == "f32":
        x = function.per_token("x", "float32", *leading, columns)
        if function.single:
            return TokenProduct(FloatActivations(weights, x, columns).multiply_panel)
        return PanelProduct(FloatStrip(weights, x, isa), columns)
    if isa not in weights.integer_sums:
        raise LoweringError(
            f"No {isa} kernel multiplies {weights.scheme} weights with {activation} activations; "
            f"use f32 activations for this weight."
        )
    blocks = -(-columns // BLOCK)
    if not function.single:
        codes = function.per_token("codes", "int16", *leading, blocks * BLOCK)
        scales = function.per_token("scales", "float32", *leading, blocks)
        strip = IntegerStrip(weights, codes, scales, isa)
        direct = DirectProduct(weights, codes, scales, strip.tiling.direct)
        return PanelProduct(strip, blocks * BLOCK, direct)
    terms = TERMS[activation]
    integers = IntegerActivations(
        weights=weights,
        codes=function.per_token("codes", "int8", *leading, terms * blocks * BLOCK),
        scales=function.per_token("scales", "float32", *leading, blocks),
        sums=function.per_token("sums", "float32", *leading, terms * blocks),
        terms=terms,
    )
    return TokenProduct(integers.multiply_panel)
