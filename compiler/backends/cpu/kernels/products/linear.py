"""The product of activations with one matrix, and a bias."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.activations import declare_activations
from ossc.compiler.backends.cpu.kernels.products.matrix import Matrix
from ossc.compiler.backends.cpu.kernels.products.tiles import panel_groups, row_counts
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import (
    Activation,
    Buffer,
    Expr,
    Isa,
    Kernel,
    building,
    symbol,
    with_variants,
)
from ossc.runtimes.kernel_cost import Work


@with_variants
def linear(
    *,
    scheme: str,
    activation: Activation,
    rows: int,
    columns: int,
    bias: bool,
    n: int | None,
    isa: Isa,
) -> Kernel:
    """Build ``x @ weight.T (+ bias)`` for a weight of ``rows`` × ``columns``.

    Parameters of the function: the activations (x ``[n, columns]``, or codes, scales and sums of
    `quantize_activations`), packed weight uint8, with ``bias`` also bias ``[rows]`` → out
    ``[n, rows]`` float32. One task for every 8 rows, or 32 where ``n`` is None.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    weights = find_format(scheme)
    groups = -(-rows // ROWS)
    kind = "linear_bias" if bias else "linear"
    name = symbol(kind, scheme, activation, f"{rows}x{columns}", n=n)
    with building(name, n) as function:
        product = declare_activations(function, activation, (), columns, weights, isa)
        matrix = Matrix(function, weights, row_groups=groups, columns=columns, isa=isa)
        biases = function.buffer("bias", "float32", rows) if bias else None
        out = function.per_token("out", "float32", rows)
        with function.tasks(fixed=-(-groups // product.groups)) as number:
            first = T.Bind(number * product.groups)
            panel = [matrix.rows(group) for group in panel_groups(first, groups, product.groups)]
            for token, values in product.multiply(panel, function.tokens, lambda t: (t,)):
                for i, value in enumerate(values):
                    _store(out, token, first + i, value, biases, product.groups)
    return function.kernel("linear", activation, Work(per_token=2 * rows * columns), scheme=scheme)


def _store(
    out: Buffer, token: Expr, group: Expr, products: Expr, bias: Buffer | None, panel: int
) -> None:
    rows = int(out.ty.shape[1])
    first = group * ROWS
    for count in row_counts(group, rows, panel):
        value = products
        if bias is not None:
            value = value + v.load_some(bias, first, count=count)
        v.store_some(out, token, first, value=value, count=count)
