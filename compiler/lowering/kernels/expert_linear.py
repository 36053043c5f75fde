"""The product of each (token, slot) pair's activations with the matrix of its expert."""

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.activations import declare_activations
from ossc.compiler.lowering.kernels.experts import Routing
from ossc.compiler.lowering.kernels.kernel import Activation, Isa, Kernel, building, symbol
from ossc.compiler.lowering.kernels.tiles import row_counts
from ossc.compiler.lowering.kernels.weights import find_format
from ossc.compiler.lowering.kernels.weights.format import ROWS
from ossc.compiler.lowering.packing import expert_stride
from ossc.runtimes.kernel_cost import Work


def expert_linear(
    *,
    scheme: str,
    activation: Activation,
    experts: int,
    hidden: int,
    intermediate: int,
    k: int,
    n: int | None,
    isa: Isa,
) -> Kernel:
    """Build ``a[t, s] @ weight[e].T + bias[e]`` for the expert e of each pair.

    Parameters of the function: the activations ``[n, k, intermediate]`` (a, or codes, scales and
    sums), the routing (see `Routing`), packed weights uint8, bias ``[experts, hidden]`` → out
    ``[n, k, hidden]`` float32. A task for each row group of 8, of each slot or expert.

    Raises:
        LoweringError: The kernels cannot multiply this scheme with this activation type.
    """
    weights = find_format(scheme)
    groups = -(-hidden // ROWS)
    group_bytes = weights.row_group_bytes(intermediate)
    stride = expert_stride(groups * group_bytes)
    shape = f"{experts}x{hidden}x{intermediate}"
    name = symbol("expert_linear", scheme, activation, shape, k, isa, n=n)
    with building(name, n) as function:
        activations = declare_activations(function, activation, (k,), intermediate, weights, isa)
        routing = Routing(function, experts, k, n)
        weight = function.buffer("weight", "uint8", experts * stride, parts=("expert", experts))
        bias = function.buffer("bias", "float32", experts, hidden, parts=("expert", experts))
        out = function.per_token("out", "float32", k, hidden)
        with function.tasks(fixed=routing.tasks(groups)) as number:
            task = routing.task(number, groups)
            offset = T.Bind(v.convert(task.expert, "int64") * stride + task.group * group_bytes)
            packed = weights.rows(weight, offset, intermediate, isa)
            for tile in task.tiles():
                products = activations.multiply(weights, packed, tile)
                first = task.group * ROWS
                for i, pair in enumerate(tile):
                    for count in row_counts(task.group, hidden):
                        value = products[i] + v.load_some(bias, task.expert, first, count=count)
                        v.store_some(out, *pair, first, value=value, count=count)
    return function.kernel(
        "expert_linear",
        activation,
        Work(per_token=2 * k * hidden * intermediate),
        scheme=scheme,
        experts=experts,
        experts_per_tok=k,
    )
