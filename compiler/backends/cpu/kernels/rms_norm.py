"""Root-mean-square normalization, alone or of a sum: RMSNormalization of ONNX opset 23."""

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work


def rms_norm(*, hidden: int, epsilon: float, add: bool, n: int | None) -> Kernel:
    """Build ``x * weight / sqrt(mean(x²) + epsilon)`` over rows of ``hidden``.

    Parameters of the function: x ``[n, hidden]``, with ``add`` also residual ``[n, hidden]``,
    weight ``[hidden]`` → normed ``[n, hidden]``, with ``add`` also sum ``[n, hidden]``; all
    float32. With ``add`` the sum x + residual is normalized. One task a token.
    """
    operation = "add_rms_norm" if add else "rms_norm"
    name = symbol(operation, hidden, epsilon, n=n)
    with building(name, n) as function:
        terms = [function.per_token("x", "float32", hidden)]
        if add:
            terms.append(function.per_token("residual", "float32", hidden))
        weight = function.buffer("weight", "float32", hidden)
        normed = function.per_token("normed", "float32", hidden)
        total = function.per_token("sum", "float32", hidden) if add else terms[0]
        with function.tasks(per_token=1) as token:
            if add:
                _add(terms[0], terms[1], total, token, hidden)
            mean = _sum_of_squares(total, token, hidden) / v.constant(hidden, "float32")
            root = tvm.tirx.sqrt(mean + v.constant(epsilon, "float32"))
            factor = T.Bind(v.constant(1, "float32") / root)
            for begin, lanes in v.spans(hidden):
                x = v.load(total, token, begin, lanes=lanes)
                scaled = x * v.splat(factor, lanes) * v.load(weight, begin, lanes=lanes)
                v.store(normed, token, begin, value=scaled, lanes=lanes)
    return function.kernel(operation, "f32", Work(per_token=(5 if add else 4) * hidden))


def _add(x: Buffer, residual: Buffer, total: Buffer, token: Expr, hidden: int) -> None:
    for begin, lanes in v.spans(hidden):
        value = v.load(x, token, begin, lanes=lanes) + v.load(residual, token, begin, lanes=lanes)
        v.store(total, token, begin, value=value, lanes=lanes)


def _sum_of_squares(x: Buffer, token: Expr, hidden: int) -> Expr:
    sums = {lanes: v.Registers(1, lanes=lanes) for lanes in (v.LANES, 1)}
    for lanes in sums:
        sums[lanes].fill([0], 0)
    for begin, lanes in v.spans(hidden):
        value = v.load(x, token, begin, lanes=lanes)
        sums[lanes][0] = v.multiply_add(value, value, sums[lanes][0])
    return v.horizontal_sum(sums[v.LANES][0]) + sums[1][0]
