"""The product of activations with a matrix of gates and ups, and the activation between them."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.products.activations import declare_activations
from ossc.compiler.backends.cpu.kernels.products.glu_rows import GluRows, groups_at_once
from ossc.compiler.backends.cpu.kernels.products.matrix import Matrix
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Activation, Isa, Kernel, building, symbol, with_variants
from ossc.runtimes.kernel_cost import Work


@with_variants
def linear_glu(
    *,
    scheme: str,
    activation: Activation,
    intermediate: int,
    hidden: int,
    glu: Glu,
    bias: bool,
    n: int | None,
    isa: Isa,
) -> Kernel:
    """Build the gated activation of ``x @ weight.T (+ bias)``, the first half of a gated MLP.

    Parameters of the function: the activations (x ``[n, hidden]``, or codes, scales and sums of
    `quantize_activations`), the weight ``[2 · intermediate, hidden]`` packed by `pack_glu`, with
    ``bias`` also bias ``[2 · intermediate]`` (a gate's before its up's) → out ``[n, intermediate]``
    float32. One task for every 8 outputs, or 16 where ``n`` is None.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    weights = find_format(scheme)
    kind = "linear_glu_bias" if bias else "linear_glu"
    shape = f"{intermediate}x{hidden}"
    name = symbol(kind, scheme, activation, shape, *glu.parameters, n=n)
    with building(name, n) as function:
        product = declare_activations(function, activation, (), hidden, weights, isa)
        groups = 2 * -(-intermediate // ROWS)
        matrix = Matrix(function, weights, row_groups=groups, columns=hidden, isa=isa)
        rows = GluRows(
            glu=glu,
            outputs=intermediate,
            size=groups_at_once(product.groups),
            bias=function.buffer("bias", "float32", 2 * intermediate) if bias else None,
        )
        out = function.per_token("out", "float32", intermediate)
        with function.tasks(fixed=rows.panels) as number:
            first = T.Bind(number * rows.size)
            panel = [matrix.rows(group) for group in rows.row_groups(first)]
            for token, products in product.multiply(panel, function.tokens, lambda t: (t,)):
                for row, value, count in rows.results(first, products):
                    v.store_some(out, token, row, value=value, count=count)
    work = Work(per_token=2 * 2 * intermediate * hidden)
    return function.kernel("linear_glu", activation, work, scheme=scheme)
