"""Turning float32 activations into int8 with a scale for every 32 columns."""

from collections.abc import Sequence

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Buffer, Expr, Kernel, building, symbol
from ossc.compiler.lowering.kernels.weights.format import BLOCK

LARGEST_CODE = 127

SMALLEST = 2.0**-100
"""Blocks whose largest magnitude is below it become zeros: its reciprocal is still finite."""


Outputs = tuple[Buffer, Buffer, Buffer]


def quantize_activations(*, columns: int, rows_per_token: int | None, n: int | None) -> Kernel:
    """Build the quantization of rows of ``columns``.

    Parameters of the function: x float32 ``[n, columns]``, or ``[n, rows_per_token, columns]``
    when that is not None → codes int8, scales float32 and sums float32 (of the codes, exact)
    of the same leading dimensions and the last one 32·b, b, b for b = ceil(columns / 32). One task
    a row.

    The scale is a block's largest magnitude over 127, the code the nearest integer (half to even)
    to x / scale; columns beyond the last are zeros. A block that holds an infinity or a NaN gets
    such a scale, so whatever is multiplied with it does not look finite.
    """
    leading = () if rows_per_token is None else (rows_per_token,)
    n_blocks = -(-columns // BLOCK)
    name = symbol("quantize_activations", *leading, columns, n=n)
    with building(name, n) as function:
        x = function.per_token("x", "float32", *leading, columns)
        outputs = (
            function.per_token("codes", "int8", *leading, n_blocks * BLOCK),
            function.per_token("scales", "float32", *leading, n_blocks),
            function.per_token("sums", "float32", *leading, n_blocks),
        )
        with function.tasks(per_token=rows_per_token or 1) as task:
            row = (task,) if rows_per_token is None else _split(task, rows_per_token)
            whole, rest = divmod(columns, BLOCK)
            if whole:
                with T.serial(whole) as block:
                    _quantize_block(x, outputs, row, block, BLOCK)
            if rest:
                _quantize_block(x, outputs, row, v.constant(whole, "int32"), rest)
    return function.kernel()


def _split(task: Expr, rows_per_token: int) -> tuple[Expr, Expr]:
    return task // rows_per_token, task % rows_per_token


def _quantize_block(
    x: Buffer,
    outputs: Outputs,
    row: tuple[Expr, ...],
    block: Expr,
    columns: int,
) -> None:
    codes, scales, sums = outputs
    counts = [min(v.LANES, columns - begin) for begin in range(0, columns, v.LANES)]
    first = block * BLOCK
    parts = [
        v.load_some(x, *row, first + i * v.LANES, count=count) for i, count in enumerate(counts)
    ]
    largest = _largest_magnitude(parts)
    usable = v.bits(largest, "int32") >= v.bits(v.constant(SMALLEST, "float32"), "int32")
    zero, code_range = v.constant(0, "float32"), v.constant(LARGEST_CODE, "float32")
    factor = T.Bind(v.select(usable, code_range / largest, zero))
    total = v.constant(0, "int32x8")
    for i in range(BLOCK // v.LANES):
        code = v.constant(0, "int32x8")
        if i < len(parts):
            rounded = v.convert(v.round_to_even(parts[i] * v.splat(factor)), "int32")
            code = v.keep_lanes(rounded, counts[i])
        total = T.Bind(total + code)
        v.store(codes, *row, first + i * v.LANES, value=v.convert(code, "int8"))
    scale = v.select(usable, largest / code_range, zero)
    v.store(scales, *row, block, value=scale, lanes=1)
    total = v.convert(v.horizontal_sum(total), "float32")
    v.store(sums, *row, block, value=total, lanes=1)


def _largest_magnitude(parts: Sequence[Expr]) -> Expr:
    """Compare bits, in whose order NaN is larger than infinity and infinity than any number."""
    without_sign = v.constant(0x7FFFFFFF, "int32x8")
    largest = v.constant(0, "int32x8")
    for part in parts:
        largest = v.larger(largest, v.bits(part, "int32x8") & without_sign)
    return T.Bind(v.bits(v.horizontal_max(largest), "float32"))
