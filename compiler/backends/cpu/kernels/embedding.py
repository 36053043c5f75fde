"""The lookup of tokens in a table, which is packed as any matrix: it may be the head's too."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.packing import packed_bytes
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work


def embedding(*, scheme: str, vocab: int, hidden: int, n: int | None) -> Kernel:
    """Build the lookup of rows of a table of ``vocab`` × ``hidden``.

    Parameters of the function: ids int64 ``[n]``, each at least 0 and below ``vocab``; packed
    table uint8 → out ``[n, hidden]`` float32. One task a token.

    Raises:
        LoweringError: No kernel reads this scheme.
    """
    weights = find_format(scheme)
    group_bytes = weights.row_group_bytes(hidden)
    with building(symbol("embedding", scheme, f"{vocab}x{hidden}", n=n), n) as function:
        ids = function.per_token("ids", "int64")
        size_bytes = packed_bytes(scheme, vocab, hidden)
        table = function.buffer("table", "uint8", size_bytes, parts=("token", vocab))
        out = function.per_token("out", "float32", hidden)
        with function.tasks(per_token=1) as token:
            rows = v.constant(ROWS, "int64")
            offset = T.Bind(ids[token] // rows * v.constant(group_bytes, "int64"))
            row = T.Bind((ids[token] % rows).astype("int32"))
            with T.serial(hidden) as column:
                value = weights.value(table, offset, row, column)
                v.store(out, token, column, value=value, lanes=1)
    return function.kernel("embedding", "copy", Work(), scheme=scheme)
