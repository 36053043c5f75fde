"""Gates and ups of each chosen expert, and the gated activation of gpt-oss between them."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.experts.experts import ExpertWeights, Routing
from ossc.compiler.backends.cpu.kernels.products.activations import declare_activations
from ossc.compiler.backends.cpu.kernels.products.tiles import panel_groups, row_counts
from ossc.compiler.backends.cpu.packing import expert_stride
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.vector_math import exp
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
def expert_swiglu(
    *,
    scheme: str,
    activation: Activation,
    experts: int,
    intermediate: int,
    hidden: int,
    k: int,
    alpha: float,
    limit: float,
    n: int | None,
    isa: Isa,
) -> Kernel:
    """Build ``(up + 1) · gate · sigmoid(alpha · gate)`` of the expert of each (token, slot) pair.

    Gates are limited above and ups on both sides by ``limit``.

    Parameters of the function: the activations ``[n, hidden]`` (x, or codes, scales and sums), the
    routing (see `Routing`), the weights (see `ExpertWeights`) packed by `pack_swiglu`, bias
    ``[experts, 2 · intermediate]`` (a gate's before its up's) → out ``[n, k, intermediate]``
    float32. A task for each 8 outputs of each slot, or each 16 of each expert.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    weights = find_format(scheme)
    groups = -(-intermediate // ROWS)
    group_bytes = weights.row_group_bytes(hidden)
    stride = expert_stride(2 * groups * group_bytes)
    shape = f"{experts}x{intermediate}x{hidden}"
    name = symbol("expert_swiglu", scheme, activation, shape, k, alpha, limit, n=n)
    with building(name, n) as function:
        product = declare_activations(function, activation, (), hidden, weights, isa)
        routing = Routing(function, experts, k, n)
        weight = ExpertWeights(function, experts, stride)
        bias = function.buffer(
            "bias", "float32", experts, 2 * intermediate, parts=("expert", experts)
        )
        out = function.per_token("out", "float32", k, intermediate)
        size = -(-product.groups // 2)
        panels = -(-groups // size)
        with function.tasks(fixed=routing.tasks(panels)) as number:
            task = routing.task(number, panels)
            first = T.Bind(task.panel * size)
            begin = weight.begin(task)
            panel = [
                weights.rows(
                    weight.buffer, T.Bind(begin + (2 * group + up) * group_bytes), hidden, isa
                )
                for group in panel_groups(first, groups, size)
                for up in (0, 1)
            ]
            for token, values in product.multiply(panel, task.pairs, lambda t: task.pair(t)[:1]):
                pair = task.pair(token)
                for i, (gates, ups) in enumerate(zip(values[::2], values[1::2], strict=True)):
                    row = T.Bind((first + i) * ROWS)
                    for count in row_counts(first + i, intermediate, size):
                        gate = gates + _biases(bias, task.expert, row, 0, count)
                        up = ups + _biases(bias, task.expert, row, 1, count)
                        value = _swiglu(T.Bind(gate), T.Bind(up), alpha, limit)
                        v.store_some(out, *pair, row, value=value, count=count)
    return function.kernel(
        "expert_swiglu",
        activation,
        Work(per_token=2 * k * 2 * intermediate * hidden),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )


def _biases(bias: Buffer, expert: Expr, first: Expr, which: int, count: int) -> Expr:
    """Read every other bias: of the gates (``which`` 0) or the ups (1)."""
    rows = [first + min(lane, count - 1) for lane in range(ROWS)]
    return v.join([bias[expert, row * 2 + which] for row in rows])


def _swiglu(gate: Expr, up: Expr, alpha: float, limit: float) -> Expr:
    def number(value: float) -> Expr:
        return v.constant(value, "float32x8")

    gate = T.Bind(v.at_most(gate, limit))
    up = v.at_least(v.at_most(up, limit), -limit)
    gated = T.Bind(gate / (number(1) + exp(gate * number(-alpha))))
    return T.Bind(v.multiply_add(up, gated, gated))
