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
from ossc.compiler.backends.cpu.weights import activation_of
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


class FloatInput:
    """Buffers of activations ``[n, *leading, columns]`` in float32."""

    def __init__(
        self, function: KernelBuilder, leading: Sequence[int], columns: int, isa: Isa
    ) -> None:
        """Add the buffer x to a function."""
        self._single, self._columns, self._isa = function.single, columns, isa
        self._x = function.per_token("x", "float32", *leading, columns)

    def product(self, weights: WeightFormat) -> Product:
        """Return what multiplies weights with them."""
        if self._single:
            return TokenProduct(FloatActivations(weights, self._x, self._columns).multiply_panel)
        return PanelProduct(FloatStrip(weights, self._x, self._isa), self._columns)


class IntegerInput:
    """Buffers of activations ``[n, *leading, columns]`` in integers."""

    def __init__(
        self, function: KernelBuilder, leading: Sequence[int], columns: int, terms: int, isa: Isa
    ) -> None:
        """Add codes and scales to a function, and sums where it has a single token."""
        self._isa, self._terms = isa, terms
        self._blocks = -(-columns // BLOCK)
        dtype, stored = ("int8", terms) if function.single else ("int16", 1)
        codes = stored * self._blocks * BLOCK
        self._codes = function.per_token("codes", dtype, *leading, codes)
        self._scales = function.per_token("scales", "float32", *leading, self._blocks)
        self._sums = None
        if function.single:
            self._sums = function.per_token("sums", "float32", *leading, terms * self._blocks)

    def product(self, weights: WeightFormat) -> Product:
        """Return what multiplies weights with them.

        Raises:
            LoweringError: The kernels cannot multiply these weights with integers.
        """
        if self._isa not in weights.integer_sums:
            raise LoweringError(
                f"No {self._isa} kernel multiplies {weights.scheme} weights with int8 activations; "
                "use f32 activations for this weight."
            )
        codes, scales, isa = self._codes, self._scales, self._isa
        if self._sums is None:
            strip = IntegerStrip(weights, codes, scales, isa)
            direct = DirectProduct(weights, codes, scales, strip.tiling.direct)
            return PanelProduct(strip, self._blocks * BLOCK, direct)
        integers = IntegerActivations(
            weights=weights, codes=codes, scales=scales, sums=self._sums, terms=self._terms
        )
        return TokenProduct(integers.multiply_panel)


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
    return _declare(function, activation, leading, columns, isa).product(weights)


def declare_all_activations(
    function: KernelBuilder,
    activation: Activation,
    leading: Sequence[int],
    columns: int,
    weights: Sequence[WeightFormat],
    isa: Isa,
) -> list[Product]:
    """Add the buffers that weights of several schemes meet: integers, float32, or both.

    Args:
        function: The function; integers come first.
        activation: What weights with codes meet; others meet float32.
        leading: Dimensions between tokens and columns.
        columns: Of the weights.
        weights: The schemes.
        isa: The instructions to use.

    Returns:
        What multiplies each.

    Raises:
        LoweringError: None of the weights has codes, and the activations are integers.
    """
    types = [activation_of(each, activation) for each in weights]
    if activation not in types:
        types = [activation] * len(weights)
    ordered = sorted(set(types), key=lambda each: each == "f32")
    inputs = {each: _declare(function, each, leading, columns, isa) for each in ordered}
    return [inputs[type_].product(each) for type_, each in zip(types, weights, strict=True)]


def _declare(
    function: KernelBuilder, activation: Activation, leading: Sequence[int], columns: int, isa: Isa
) -> FloatInput | IntegerInput:
    if activation == "f32":
        return FloatInput(function, leading, columns, isa)
    return IntegerInput(function, leading, columns, TERMS[activation], isa)
