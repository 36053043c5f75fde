"""Gates and ups of each chosen expert, and the gated activation between them."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.experts.experts import (
    ExpertWeights,
    Routing,
    expert_biases,
    scheme_symbol,
    shares_of,
)
from ossc.compiler.backends.cpu.kernels.products.activations import declare_all_activations
from ossc.compiler.backends.cpu.kernels.products.glu_rows import GluRows, groups_at_once
from ossc.compiler.backends.cpu.packing import glu_bytes
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Activation, Isa, Kernel, building, symbol, with_variants
from ossc.runtimes.kernel_cost import Work


@with_variants
def expert_glu(
    *,
    scheme: str,
    activation: Activation,
    experts: int,
    intermediate: int,
    hidden: int,
    k: int,
    glu: Glu,
    bias: bool,
    n: int | None,
    isa: Isa,
    counts: tuple[int, ...] = (),
) -> Kernel:
    """Build the gated activation of the expert of each (token, slot) pair.

    Parameters of the function: the activations ``[n, hidden]`` (x, or codes, scales and sums; or
    both, see `declare_all_activations`), the routing (see `Routing`), the weights (see
    `ExpertWeights`) packed by `pack_glu`, with ``bias`` also bias ``[experts, 2 · intermediate]``
    (a gate's before its up's) → out ``[n, k, intermediate]`` float32. A task for each 8 outputs of
    each slot, or each 16 of each expert.

    A ``scheme`` such as ``mxfp4+int4-g32`` is several; ``counts`` says how many experts each has,
    which matters for the cost and not for the code.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    shares = shares_of(
        scheme, counts or (experts,), lambda each: glu_bytes(each, intermediate, hidden)
    )
    formats = [share.weights for share in shares]
    operation = "expert_swiglu" if glu.kind == "swiglu_oss" else "expert_glu"
    shape = f"{experts}x{intermediate}x{hidden}"
    kind = operation if bias else f"{operation}_no_bias"
    name = symbol(kind, scheme_symbol(scheme), activation, shape, k, *glu.parameters, n=n)
    with building(name, n) as function:
        products = declare_all_activations(function, activation, (), hidden, formats, isa)
        routing = Routing(function, experts, k, n)
        weight = ExpertWeights(function, shares)
        rows = GluRows(
            glu=glu,
            outputs=intermediate,
            size=groups_at_once(products[0].groups),
            bias=expert_biases(function, experts, 2 * intermediate) if bias else None,
        )
        out = function.per_token("out", "float32", k, intermediate)
        with function.tasks(fixed=routing.tasks(rows.panels)) as number:
            task = routing.task(number, rows.panels)
            first = T.Bind(task.panel * rows.size)
            for index, begin in weight.begins(task):
                weights = formats[index]
                group_bytes = weights.row_group_bytes(hidden)
                panel = [
                    weights.rows(weight.buffer, T.Bind(begin + group * group_bytes), hidden, isa)
                    for group in rows.row_groups(first)
                ]
                multiplied = products[index].multiply(panel, task.pairs, lambda t: task.pair(t)[:1])
                for token, results in multiplied:
                    pair = task.pair(token)
                    for row, value, count in rows.results(first, results, (task.expert,)):
                        v.store_some(out, *pair, row, value=value, count=count)
    return function.kernel(
        operation,
        activation,
        Work(per_token=2 * k * 2 * intermediate * hidden),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )
