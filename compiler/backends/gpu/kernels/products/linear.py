"""The product of activations with one matrix, and a bias."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import at_most, store
from ossc.compiler.backends.gpu.kernel_builder import (
    GpuKernelBuilder,
    building,
    with_vector_body,
)
from ossc.compiler.backends.gpu.kernels.products import tile
from ossc.compiler.backends.gpu.kernels.products.matrix import Matrix, row_of
from ossc.compiler.backends.gpu.kernels.products.token_sums import BLOCK_OF_ITEMS, token_sums
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.gpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work


@with_vector_body
def linear(
    *, scheme: str, rows: int, columns: int, bias: bool, n: int | None, vectors: bool = False
) -> Kernel:
    """Build ``x @ weight.T (+ bias)`` for a weight of ``rows`` × ``columns``.

    Parameters of the function: x ``[n, columns]`` float32, packed weight uint32, with ``bias`` also
    bias ``[rows]`` → out ``[n, rows]`` float32. For one token one group for every 16 rows, else one
    for every 32 rows and 32 tokens.

    Raises:
        LoweringError: There are no kernels for this scheme.
    """
    weights = find_format(scheme)
    kind = "linear_bias" if bias else "linear"
    name = symbol(kind, scheme, f"{rows}x{columns}", n=n)
    with building(name, n, vectors=vectors) as function:
        x = function.per_token("x", "float32", columns)
        packed = function.buffer("weight", "uint32", weights.matrix_words(rows, columns))
        biases = function.buffer("bias", "float32", rows) if bias else None
        out = function.per_token("out", "float32", rows)
        matrix = Matrix(weights, packed, columns)
        if function.single:
            _one_token(function, x, matrix, biases, out)
        else:
            _chunk(function, x, matrix, biases, out)
    return function.kernel("linear", "f32", Work(per_token=2 * rows * columns), scheme=scheme)


def _one_token(
    function: GpuKernelBuilder, x: Buffer, matrix: Matrix, bias: Buffer | None, out: Buffer
) -> None:
    rows = int(out.ty.shape[1])
    with function.grid(Groups(fixed=-(-rows // ROWS)), block=BLOCK_OF_ITEMS) as item:
        group = item.group[0]
        for lane, (total,) in token_sums(function, item, matrix, [group], row_of(x, 0)):
            _store(out, 0, T.Bind(group * ROWS + lane), total, bias)


def _chunk(
    function: GpuKernelBuilder, x: Buffer, matrix: Matrix, bias: Buffer | None, out: Buffer
) -> None:
    rows = int(out.ty.shape[1])
    groups = -(-rows // ROWS)
    tiles = Groups(fixed=-(-groups // tile.GROUPS))
    chunks = Groups(per_token=1, divisor=tile.TOKENS)
    with function.grid(tiles, chunks, block=tile.BLOCK_OF_ITEMS) as item:
        first, begin = item.group[0] * tile.GROUPS, T.Bind(item.group[1] * tile.TOKENS)

        def row(number: Expr) -> Expr:
            return matrix.row(at_most(first + number, groups - 1), item.lane)

        product = tile.Tile(item, row, matrix.columns)
        product.multiply(tile.rows_from(x, begin, function.tokens))
        for number, totals in product.results():
            token = T.Bind(begin + number)
            with T.If(token < function.tokens), T.Then():
                for group, total in enumerate(totals):
                    _store(out, token, (first + group) * ROWS + item.lane, total, bias)


def _store(out: Buffer, token: Expr, row: Expr, total: Expr, bias: Buffer | None) -> None:
    """Emit the result of a row, if there is such a row."""
    with T.If(row < int(out.ty.shape[1])), T.Then():
        store(out, token, row, value=total if bias is None else total + bias[row])
