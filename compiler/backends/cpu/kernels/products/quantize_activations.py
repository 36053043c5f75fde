"""Turning float32 activations into integers with a scale for every 32 columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.format import BLOCK
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.plan import Role

LARGEST_CODE = 127
"""Of one int8 term."""

TERM_RANGE = 2 * LARGEST_CODE
"""The high of two terms counts so many of the low one, which reaches half of it either way."""

PAIRED = (0, 2, 1, 3, 4, 6, 5, 7)
"""The order of a chunk's codes: see `panel`."""

SMALLEST = 2.0**-100
"""Blocks whose largest magnitude is below it become zeros: its reciprocal is still finite."""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Where the codes of all rows go."""

    codes: Buffer
    scales: Buffer
    sums: Buffer | None
    """None where two terms are one int16 code."""

    terms: int


def quantize_activations(
    *, columns: int, rows_per_token: int | None, terms: int, n: int | None
) -> Kernel:
    """Build the quantization of rows of ``columns``.

    Parameters of the function: x float32 ``[n, columns]``, or ``[n, rows_per_token, columns]``
    when that is not None → codes, scales and for a single token sums, of the same leading
    dimensions. There are b = ceil(columns / 32) blocks of t = ``terms`` terms, 1 or 2. One task a
    row.

    For a single token codes are int8 ``[…, 32·t·b]``, scales float32 ``[…, b]`` and sums float32
    (of the codes, exact) ``[…, t·b]``: a block's 32 high terms come first. Else codes are int16
    ``[…, 32·b]``, both terms joined, and of four neighbours the second and third change places.

    The scale is a block's largest magnitude over 127, or with two terms over 127 · 254, and the
    code the nearest integer (half to even) to x / scale; columns beyond the last are zeros. Two
    terms are high · 254 + low. A block that holds an infinity or a NaN gets such a scale, so
    whatever is multiplied with it does not look finite.
    """
    leading = () if rows_per_token is None else (rows_per_token,)
    n_blocks = -(-columns // BLOCK)
    name = symbol("quantize_activations", *leading, columns, f"int8x{terms}", n=n)
    with building(name, n) as function:
        x = function.per_token("x", "float32", *leading, columns)
        dtype, stored = ("int8", terms) if function.single else ("int16", 1)
        codes = function.per_token(
            "codes", dtype, *leading, n_blocks * stored * BLOCK, role=Role.CODES
        )
        scales = function.per_token("scales", "float32", *leading, n_blocks, role=Role.CODE_SCALES)
        sums = None
        if function.single:
            sums = function.per_token(
                "sums", "float32", *leading, n_blocks * terms, role=Role.CODE_SUMS
            )
        out = _Rows(codes=codes, scales=scales, sums=sums, terms=terms)
        with function.tasks(per_token=rows_per_token or 1) as task:
            row = (task,) if rows_per_token is None else _split(task, rows_per_token)
            whole, rest = divmod(columns, BLOCK)
            if whole:
                with T.serial(whole) as block:
                    _quantize_block(x, out, row, block, BLOCK)
            if rest:
                _quantize_block(x, out, row, v.constant(whole, "int32"), rest)
    return function.kernel("quantize_activations", "copy", Work())


def _split(task: Expr, rows_per_token: int) -> tuple[Expr, Expr]:
    return task // rows_per_token, task % rows_per_token


def _quantize_block(
    x: Buffer, out: _Rows, row: tuple[Expr, ...], block: Expr, columns: int
) -> None:
    counts = [min(v.LANES, columns - begin) for begin in range(0, columns, v.LANES)]
    first = block * BLOCK
    parts = [
        v.load_some(x, *row, first + i * v.LANES, count=count) for i, count in enumerate(counts)
    ]
    largest = _largest_magnitude(parts)
    usable = v.bits(largest, "int32") >= v.bits(v.constant(SMALLEST, "float32"), "int32")
    largest_code = LARGEST_CODE * TERM_RANGE ** (out.terms - 1)
    zero, code_range = v.constant(0, "float32"), v.constant(largest_code, "float32")
    factor = T.Bind(v.select(usable, code_range / largest, zero))
    codes = [v.constant(0, "int32x8")] * (BLOCK // v.LANES)
    for i, part in enumerate(parts):
        rounded = v.convert(v.round_to_even(part * v.splat(factor)), "int32")
        codes[i] = T.Bind(v.keep_lanes(rounded, counts[i]))
    v.store(out.scales, *row, block, value=v.select(usable, largest / code_range, zero), lanes=1)
    if out.sums is None:
        _store_joined(out, row, block, codes)
    else:
        _store_terms(out, out.sums, row, block, codes)


def _store_joined(out: _Rows, row: tuple[Expr, ...], block: Expr, codes: Sequence[Expr]) -> None:
    for i, code in enumerate(codes):
        ordered = v.shuffle(T.Bind(v.convert(code, "int16")), PAIRED)
        v.store(out.codes, *row, block * BLOCK + i * v.LANES, value=ordered)


def _store_terms(
    out: _Rows, sums: Buffer, row: tuple[Expr, ...], block: Expr, codes: Sequence[Expr]
) -> None:
    totals = [v.constant(0, "int32x8")] * out.terms
    for i, code in enumerate(codes):
        for term, value in enumerate(_terms(code, out.terms)):
            totals[term] = T.Bind(totals[term] + value)
            column = (block * out.terms + term) * BLOCK + i * v.LANES
            v.store(out.codes, *row, column, value=v.convert(value, "int8"))
    for term, total in enumerate(totals):
        value = v.convert(v.horizontal_sum(total), "float32")
        v.store(sums, *row, block * out.terms + term, value=value, lanes=1)


def _terms(code: Expr, terms: int) -> list[Expr]:
    """Split a code into high and low, if it has two terms: the high one is the nearest multiple."""
    if terms == 1:
        return [code]
    share = v.constant(1 / TERM_RANGE, "float32x8")
    high = T.Bind(v.convert(v.round_to_even(v.convert(code, "float32") * share), "int32"))
    return [high, T.Bind(code - high * v.constant(TERM_RANGE, "int32x8"))]


def _largest_magnitude(parts: Sequence[Expr]) -> Expr:
    """Compare bits, in whose order NaN is larger than infinity and infinity than any number."""
    without_sign = v.constant(0x7FFFFFFF, "int32x8")
    largest = v.constant(0, "int32x8")
    for part in parts:
        largest = v.larger(largest, v.bits(part, "int32x8") & without_sign)
    return T.Bind(v.bits(v.horizontal_max(largest), "float32"))
