"""The product of each (token, slot) pair's activations with the matrix of its expert."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import at_most, store
from ossc.compiler.backends.gpu.kernel_builder import (
    GpuKernelBuilder,
    building,
    with_vector_body,
)
from ossc.compiler.backends.gpu.kernels.experts.experts import ExpertWeights, Pairs, expert_biases
from ossc.compiler.backends.gpu.kernels.products import tile
from ossc.compiler.backends.gpu.kernels.products.matrix import row_of
from ossc.compiler.backends.gpu.kernels.products.token_sums import BLOCK_OF_ITEMS, token_sums
from ossc.compiler.backends.gpu.packed import matrix_words
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.gpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work


@with_vector_body
def expert_linear(
    *,
    scheme: str,
    experts: int,
    hidden: int,
    intermediate: int,
    k: int,
    bias: bool,
    n: int | None,
    vectors: bool = False,
) -> Kernel:
    """Build ``a[t, s] @ weight[e].T (+ bias[e])`` for the expert e of each pair.

    Parameters of the function: a ``[n, k, intermediate]`` float32, for one token indices int32
    ``[1, k]``, else offsets and order (see `Pairs`), the weights (see `ExpertWeights`), with
    ``bias`` also bias ``[experts, hidden]`` → out ``[n, k, hidden]`` float32. For one token one
    group for every 16 rows and slot, else one for every 32 rows and expert.

    Raises:
        LoweringError: There are no kernels for this scheme, or the weights are too large.
    """
    weights = find_format(scheme)
    words = matrix_words(scheme, hidden, intermediate)
    shape = f"{experts}x{hidden}x{intermediate}"
    kind = "expert_linear" if bias else "expert_linear_no_bias"
    name = symbol(kind, scheme, shape, k, n=n)
    with building(name, n, vectors=vectors) as function:
        a = function.per_token("a", "float32", k, intermediate)
        indices = function.per_token("indices", "int32", k) if function.single else None
        pairs = None if function.single else Pairs(function, experts, k)
        weight = ExpertWeights(function, experts, weights, words=words, columns=intermediate)
        biases = expert_biases(function, experts, hidden) if bias else None
        out = _Output(function.per_token("out", "float32", k, hidden), biases)
        if pairs is None:
            _one_token(function, a, indices, weight, out)
        else:
            _chunk(function, a, pairs, weight, out)
    return function.kernel(
        "expert_linear",
        "f32",
        Work(per_token=2 * k * hidden * intermediate),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )


class _Output:
    """Where the products go."""

    def __init__(self, out: Buffer, bias: Buffer | None) -> None:
        self._out, self._bias = out, bias
        self.rows = int(out.ty.shape[-1])

    @property
    def groups(self) -> int:
        """Groups of 16 rows."""
        return -(-self.rows // ROWS)

    def store(self, pair: tuple[Expr, Expr], expert: Expr, row: Expr, total: Expr) -> None:
        """Emit the result of a pair's row, if there is such a row."""
        with T.If(row < self.rows), T.Then():
            value = total if self._bias is None else total + self._bias[expert, row]
            store(self._out, *pair, row, value=value)


def _one_token(
    function: GpuKernelBuilder, a: Buffer, indices: Buffer, weight: ExpertWeights, out: _Output
) -> None:
    grid = (Groups(fixed=out.groups), Groups(fixed=int(a.ty.shape[1])))
    with function.grid(*grid, block=BLOCK_OF_ITEMS) as item:
        group, slot = item.group[:2]
        expert = T.Bind(indices[0, slot])
        matrix, x = weight.matrix(expert), row_of(a, 0, slot)
        for lane, (total,) in token_sums(function, item, matrix, [group], x):
            out.store((0, slot), expert, T.Bind(group * ROWS + lane), total)


def _chunk(
    function: GpuKernelBuilder, a: Buffer, pairs: Pairs, weight: ExpertWeights, out: _Output
) -> None:
    grid = (Groups(fixed=-(-out.groups // tile.GROUPS)), Groups(fixed=pairs.experts))
    with function.grid(*grid, block=tile.BLOCK_OF_ITEMS) as item:
        first, expert = T.Bind(item.group[0] * tile.GROUPS), item.group[1]
        matrix = weight.matrix(expert)
        product = tile.Tile(
            item,
            lambda number: matrix.row(at_most(first + number, out.groups - 1), item.lane),
            matrix.columns,
        )
        for of_tile in pairs.tiles(expert, item):
            product.multiply(of_tile.rows_of_pairs(a))
            for number, totals in product.results():
                with T.If(of_tile.exists(number)), T.Then():
                    pair = of_tile.pair(number)
                    for group, total in enumerate(totals):
                        row = T.Bind((first + group) * ROWS + item.lane)
                        out.store(pair, expert, row, total)
