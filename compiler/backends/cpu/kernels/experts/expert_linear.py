"""The product of each (token, slot) pair's activations with the matrix of its expert."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.experts.experts import (
    ExpertTask,
    ExpertWeights,
    Pair,
    Routing,
    expert_biases,
    scheme_symbol,
    shares_of,
)
from ossc.compiler.backends.cpu.kernels.products.activations import declare_all_activations
from ossc.compiler.backends.cpu.kernels.products.tiles import panel_groups, row_counts
from ossc.compiler.backends.cpu.packing import packed_bytes
from ossc.compiler.backends.cpu.vectors import vectors as v
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
def expert_linear(
    *,
    scheme: str,
    activation: Activation,
    experts: int,
    hidden: int,
    intermediate: int,
    k: int,
    bias: bool,
    n: int | None,
    isa: Isa,
    counts: tuple[int, ...] = (),
) -> Kernel:
    """Build ``a[t, s] @ weight[e].T (+ bias[e])`` for the expert e of each pair.

    Parameters of the function: the activations ``[n, k, intermediate]`` (a, or codes, scales and
    sums; or both, see `declare_all_activations`), the routing (see `Routing`), the weights (see
    `ExpertWeights`), with ``bias`` also bias ``[experts, hidden]`` → out ``[n, k, hidden]``
    float32. A task for each 8 rows of each slot, or each 32 of each expert.

    A ``scheme`` such as ``mxfp4+int4-g32`` is several; ``counts`` says how many experts each has,
    which matters for the cost and not for the code.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    groups = -(-hidden // ROWS)
    shares = shares_of(
        scheme, counts or (experts,), lambda each: packed_bytes(each, hidden, intermediate)
    )
    formats = [share.weights for share in shares]
    shape = f"{experts}x{hidden}x{intermediate}"
    kind = "expert_linear" if bias else "expert_linear_no_bias"
    name = symbol(kind, scheme_symbol(scheme), activation, shape, k, n=n)
    with building(name, n) as function:
        products = declare_all_activations(function, activation, (k,), intermediate, formats, isa)
        routing = Routing(function, experts, k, n)
        weight = ExpertWeights(function, shares)
        biases = expert_biases(function, experts, hidden) if bias else None
        out = function.per_token("out", "float32", k, hidden)
        at_once = products[0].groups
        panels = -(-groups // at_once)
        with function.tasks(fixed=routing.tasks(panels)) as number:
            task = routing.task(number, panels)
            first = T.Bind(task.panel * at_once)
            for index, begin in weight.begins(task):
                weights = formats[index]
                group_bytes = weights.row_group_bytes(intermediate)
                panel = [
                    weights.rows(
                        weight.buffer, T.Bind(begin + group * group_bytes), intermediate, isa
                    )
                    for group in panel_groups(first, groups, at_once)
                ]
                for token, values in products[index].multiply(panel, task.pairs, task.pair):
                    pair = task.pair(token)
                    for i, value in enumerate(values):
                        _store(out, task, pair, first + i, value, biases, at_once)
    return function.kernel(
        "expert_linear",
        activation,
        Work(per_token=2 * k * hidden * intermediate),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )


def _store(
    out: Buffer,
    task: ExpertTask,
    pair: Pair,
    group: Expr,
    products: Expr,
    biases: Buffer | None,
    panel: int,
) -> None:
    row = T.Bind(group * ROWS)
    for count in row_counts(group, int(out.ty.shape[-1]), panel):
        total = products
        if biases is not None:
            total = products + v.load_some(biases, task.expert, row, count=count)
        v.store_some(out, *pair, row, value=total, count=count)
