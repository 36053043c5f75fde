"""The product of each (token, slot) pair's activations with the matrix of its expert."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.experts.experts import (
    ExpertWeights,
    Routing,
    expert_biases,
)
from ossc.compiler.backends.cpu.kernels.products.activations import declare_activations
from ossc.compiler.backends.cpu.kernels.products.tiles import panel_groups, row_counts
from ossc.compiler.backends.cpu.packing import expert_stride
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.kernel import Activation, Isa, Kernel, building, symbol, with_variants
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
) -> Kernel:
    """Build ``a[t, s] @ weight[e].T (+ bias[e])`` for the expert e of each pair.

    Parameters of the function: the activations ``[n, k, intermediate]`` (a, or codes, scales and
    sums), the routing (see `Routing`), the weights (see `ExpertWeights`), with ``bias`` also bias
    ``[experts, hidden]`` → out ``[n, k, hidden]`` float32. A task for each 8 rows of each slot, or
    each 32 of each expert.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    weights = find_format(scheme)
    groups = -(-hidden // ROWS)
    group_bytes = weights.row_group_bytes(intermediate)
    stride = expert_stride(groups * group_bytes)
    shape = f"{experts}x{hidden}x{intermediate}"
    kind = "expert_linear" if bias else "expert_linear_no_bias"
    name = symbol(kind, scheme, activation, shape, k, n=n)
    with building(name, n) as function:
        product = declare_activations(function, activation, (k,), intermediate, weights, isa)
        routing = Routing(function, experts, k, n)
        weight = ExpertWeights(function, experts, stride)
        biases = expert_biases(function, experts, hidden) if bias else None
        out = function.per_token("out", "float32", k, hidden)
        panels = -(-groups // product.groups)
        with function.tasks(fixed=routing.tasks(panels)) as number:
            task = routing.task(number, panels)
            first = T.Bind(task.panel * product.groups)
            begin = weight.begin(task)
            panel = [
                weights.rows(weight.buffer, T.Bind(begin + group * group_bytes), intermediate, isa)
                for group in panel_groups(first, groups, product.groups)
            ]
            for token, values in product.multiply(panel, task.pairs, task.pair):
                pair = task.pair(token)
                for i, value in enumerate(values):
                    row = T.Bind((first + i) * ROWS)
                    for count in row_counts(first + i, hidden, product.groups):
                        total = value
                        if biases is not None:
                            total = value + v.load_some(biases, task.expert, row, count=count)
                        v.store_some(out, *pair, row, value=total, count=count)
    return function.kernel(
        "expert_linear",
        activation,
        Work(per_token=2 * k * hidden * intermediate),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )
