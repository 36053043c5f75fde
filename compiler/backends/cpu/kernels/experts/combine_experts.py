"""The weighted sum of what a token's experts returned."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work


def combine_experts(*, hidden: int, k: int, n: int | None) -> Kernel:
    """Build ``Σ weights[t, s] · y[t, s]``, slots in order.

    Parameters of the function: y ``[n, k, hidden]``, weights ``[n, k]`` → out ``[n, hidden]``; all
    float32. One task a token.
    """
    with building(symbol("combine_experts", hidden, k, n=n), n) as function:
        y = function.per_token("y", "float32", k, hidden)
        weights = function.per_token("weights", "float32", k)
        out = function.per_token("out", "float32", hidden)
        with function.tasks(per_token=1) as token:
            for begin, lanes in v.spans(hidden):
                total = v.load(y, token, 0, begin, lanes=lanes) * v.splat(weights[token, 0], lanes)
                for slot in range(1, k):
                    part = v.load(y, token, slot, begin, lanes=lanes)
                    weight = v.splat(weights[token, slot], lanes)
                    total = T.Bind(v.multiply_add(part, weight, total))
                v.store(out, token, begin, value=total, lanes=lanes)
    return function.kernel("combine_experts", "f32", Work(per_token=2 * k * hidden))
