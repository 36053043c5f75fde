"""The product of activations with a matrix of gates and ups, and the activation between them."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import store
from ossc.compiler.backends.gpu.kernel_builder import (
    GpuKernelBuilder,
    building,
    with_vector_body,
)
from ossc.compiler.backends.gpu.kernels.products import tile
from ossc.compiler.backends.gpu.kernels.products.glu import gated
from ossc.compiler.backends.gpu.kernels.products.matrix import Matrix, row_of
from ossc.compiler.backends.gpu.kernels.products.token_sums import BLOCK_OF_ITEMS, token_sums
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.gpu.weights.format import ROWS
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work


@with_vector_body
def linear_glu(
    *,
    scheme: str,
    intermediate: int,
    hidden: int,
    glu: Glu,
    bias: bool,
    n: int | None,
    vectors: bool = False,
) -> Kernel:
    """Build the gated activation of ``x @ weight.T (+ bias)``, the first half of a gated MLP.

    Parameters of the function: x ``[n, hidden]`` float32, the weight ``[2 · intermediate, hidden]``
    packed by `pack_glu`, uint32, with ``bias`` also bias ``[2 · intermediate]`` (a gate's before
    its up's) → out ``[n, intermediate]`` float32. For one token one group for every 16 outputs,
    else one for every 16 outputs and 32 tokens.

    Raises:
        LoweringError: There are no kernels for this scheme.
    """
    weights = find_format(scheme)
    kind = "linear_glu_bias" if bias else "linear_glu"
    name = symbol(kind, scheme, f"{intermediate}x{hidden}", *glu.parameters, n=n)
    with building(name, n, vectors=vectors) as function:
        x = function.per_token("x", "float32", hidden)
        words = 2 * weights.matrix_words(intermediate, hidden)
        packed = function.buffer("weight", "uint32", words)
        biases = function.buffer("bias", "float32", 2 * intermediate) if bias else None
        out = function.per_token("out", "float32", intermediate)
        matrix = Matrix(weights, packed, hidden)
        if function.single:
            _one_token(function, x, matrix, GatedOutput(glu, out, biases))
        else:
            _chunk(function, x, matrix, GatedOutput(glu, out, biases))
    work = Work(per_token=2 * 2 * intermediate * hidden)
    return function.kernel("linear_glu", "f32", work, scheme=scheme)


class GatedOutput:
    """Where the products of gates and ups go."""

    def __init__(self, glu: Glu, out: Buffer, bias: Buffer | None) -> None:
        """Take ``out [..., I]`` and the bias ``[..., 2 · I]``, a gate's before its up's."""
        self._glu, self._out, self._bias = glu, out, bias
        self.outputs = int(out.ty.shape[-1])

    @property
    def groups(self) -> int:
        """Groups of 16 outputs; each is a group of gates and a group of ups."""
        return -(-self.outputs // ROWS)

    def store(
        self, place: tuple[Expr, ...], expert: tuple[Expr, ...], output: Expr, sums: list[Expr]
    ) -> None:
        """Emit an output, if there is one of this number.

        Args:
            place: The leading indices of ``out``.
            expert: Those of the bias.
            output: Its number.
            sums: The products of its gate and its up.
        """
        with T.If(output < self.outputs), T.Then():
            if self._bias is not None:
                sums = [
                    total + self._bias[(*expert, output * 2 + i)] for i, total in enumerate(sums)
                ]
            store(self._out, *place, output, value=gated(self._glu, *sums))


def _one_token(function: GpuKernelBuilder, x: Buffer, matrix: Matrix, out: GatedOutput) -> None:
    with function.grid(Groups(fixed=out.groups), block=BLOCK_OF_ITEMS) as item:
        group = item.group[0]
        groups = [group * 2 + i for i in range(2)]
        for lane, sums in token_sums(function, item, matrix, groups, row_of(x, 0)):
            out.store((0,), (), T.Bind(group * ROWS + lane), sums)


def _chunk(function: GpuKernelBuilder, x: Buffer, matrix: Matrix, out: GatedOutput) -> None:
    chunks = Groups(per_token=1, divisor=tile.TOKENS)
    with function.grid(Groups(fixed=out.groups), chunks, block=tile.BLOCK_OF_ITEMS) as item:
        group, begin = item.group[0], T.Bind(item.group[1] * tile.TOKENS)
        product = tile.Tile(
            item, lambda number: matrix.row(group * 2 + number, item.lane), matrix.columns
        )
        product.multiply(tile.rows_from(x, begin, function.tokens))
        for number, sums in product.results():
            token = T.Bind(begin + number)
            with T.If(token < function.tokens), T.Then():
                out.store((token,), (), T.Bind(group * ROWS + item.lane), sums)
