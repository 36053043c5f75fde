"""Gates and ups of each chosen expert, and the gated activation between them."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.kernel_builder import (
    GpuKernelBuilder,
    building,
    with_vector_body,
)
from ossc.compiler.backends.gpu.kernels.experts.experts import ExpertWeights, Pairs, expert_biases
from ossc.compiler.backends.gpu.kernels.products import tile
from ossc.compiler.backends.gpu.kernels.products.linear_glu import GatedOutput
from ossc.compiler.backends.gpu.kernels.products.matrix import row_of
from ossc.compiler.backends.gpu.kernels.products.token_sums import BLOCK_OF_ITEMS, token_sums
from ossc.compiler.backends.gpu.packed import glu_words
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.gpu.weights.format import ROWS
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Buffer, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work


@with_vector_body
def expert_glu(
    *,
    scheme: str,
    experts: int,
    intermediate: int,
    hidden: int,
    k: int,
    glu: Glu,
    bias: bool,
    n: int | None,
    vectors: bool = False,
) -> Kernel:
    """Build the gated activation of the expert of each (token, slot) pair.

    Parameters of the function: x ``[n, hidden]`` float32, for one token indices int32 ``[1, k]``,
    else offsets and order (see `Pairs`), the weights (see `ExpertWeights`) packed by `pack_glu`,
    with ``bias`` also bias ``[experts, 2 · intermediate]`` (a gate's before its up's) → out
    ``[n, k, intermediate]`` float32. For one token one group for every 16 outputs and slot, else
    one for every 16 outputs and expert.

    Raises:
        LoweringError: There are no kernels for this scheme, or the weights are too large.
    """
    weights = find_format(scheme)
    words = glu_words(scheme, 2 * intermediate, hidden)
    operation = "expert_swiglu" if glu.kind == "swiglu_oss" else "expert_glu"
    shape = f"{experts}x{intermediate}x{hidden}"
    kind = operation if bias else f"{operation}_no_bias"
    name = symbol(kind, scheme, shape, k, *glu.parameters, n=n)
    with building(name, n, vectors=vectors) as function:
        x = function.per_token("x", "float32", hidden)
        indices = function.per_token("indices", "int32", k) if function.single else None
        pairs = None if function.single else Pairs(function, experts, k)
        weight = ExpertWeights(function, experts, weights, words=words, columns=hidden)
        biases = expert_biases(function, experts, 2 * intermediate) if bias else None
        out = GatedOutput(glu, function.per_token("out", "float32", k, intermediate), biases)
        if pairs is None:
            _one_token(function, x, indices, weight, out)
        else:
            _chunk(function, x, pairs, weight, out)
    return function.kernel(
        operation,
        "f32",
        Work(per_token=2 * k * 2 * intermediate * hidden),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )


def _one_token(
    function: GpuKernelBuilder, x: Buffer, indices: Buffer, weight: ExpertWeights, out: GatedOutput
) -> None:
    grid = (Groups(fixed=out.groups), Groups(fixed=int(indices.ty.shape[1])))
    with function.grid(*grid, block=BLOCK_OF_ITEMS) as item:
        group, slot = item.group[:2]
        expert = T.Bind(indices[0, slot])
        matrix, groups = weight.matrix(expert), [group * 2 + i for i in range(2)]
        for lane, sums in token_sums(function, item, matrix, groups, row_of(x, 0)):
            out.store((0, slot), (expert,), T.Bind(group * ROWS + lane), sums)


def _chunk(
    function: GpuKernelBuilder, x: Buffer, pairs: Pairs, weight: ExpertWeights, out: GatedOutput
) -> None:
    grid = (Groups(fixed=out.groups), Groups(fixed=pairs.experts))
    with function.grid(*grid, block=tile.BLOCK_OF_ITEMS) as item:
        group, expert = item.group[:2]
        matrix = weight.matrix(expert)
        product = tile.Tile(
            item, lambda number: matrix.row(group * 2 + number, item.lane), matrix.columns
        )
        for of_tile in pairs.tiles(expert, item):
            product.multiply(of_tile.rows_of_tokens(x))
            for number, sums in product.results():
                with T.If(of_tile.exists(number)), T.Then():
                    output = T.Bind(group * ROWS + item.lane)
                    out.store(of_tile.pair(number), (expert,), output, sums)
