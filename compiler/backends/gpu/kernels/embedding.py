"""The lookup of tokens in a packed embedding table."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.kernels.products.matrix import Matrix
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.gpu.weights.format import ROWS
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.kernel import Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work

ITEMS = 64


def embedding(*, scheme: str, vocab: int, hidden: int, n: int | None) -> Kernel:
    """Build the lookup of rows of a table of ``vocab`` × ``hidden``.

    Parameters of the function: ids int32 ``[n]``, each at least 0 and below ``vocab``; packed
    table uint32 → out ``[n, hidden]`` float32. One group a token, one work-item a word.

    Raises:
        LoweringError: There are no kernels for this scheme.
    """
    weights = find_format(scheme)
    with building(symbol("embedding", scheme, f"{vocab}x{hidden}", n=n), n) as function:
        ids = function.per_token("ids", "int32")
        words = weights.matrix_words(vocab, hidden)
        table = function.buffer("table", "uint32", words, parts=("token", vocab))
        out = function.per_token("out", "float32", hidden)
        with function.grid(Groups(per_token=1), block=(ITEMS,)) as item:
            token = item.group[0]
            id_ = T.Bind(ids[token])
            row = Matrix(weights, table, hidden).row(id_ // ROWS, id_ % ROWS)
            for number in each(-(-hidden // weights.word_columns), item.lane, ITEMS):
                block = T.Bind(number // weights.block_words)
                scale = row.scale(block)
                scale = None if scale is None else T.Bind(scale)
                values = weights.values(row.word(block, number % weights.block_words))
                for i, value in enumerate(values):
                    column = number * weights.word_columns + i
                    with T.If(column < hidden), T.Then():
                        store(out, token, column, value=value if scale is None else value * scale)
    return function.kernel("embedding", "copy", Work(), scheme=scheme)
