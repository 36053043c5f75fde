"""The weighted sum of what a token's experts returned."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.lowering.kernel import Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work

ITEMS = 64


def combine_experts(*, hidden: int, k: int, n: int | None) -> Kernel:
    """Build ``Σ weights[t, s] · y[t, s]``, slots in order.

    Parameters of the function: y ``[n, k, hidden]``, weights ``[n, k]`` → out ``[n, hidden]``; all
    float32. One group for every 64 columns of a token.
    """
    with building(symbol("combine_experts", hidden, k, n=n), n) as function:
        y = function.per_token("y", "float32", k, hidden)
        weights = function.per_token("weights", "float32", k)
        out = function.per_token("out", "float32", hidden)
        columns = Groups(fixed=-(-hidden // ITEMS))
        with function.grid(columns, Groups(per_token=1), block=(ITEMS,)) as item:
            column, token = T.Bind(item.group[0] * ITEMS + item.lane), item.group[1]
            with T.If(column < hidden), T.Then():
                total = T.Bind(y[token, 0, column] * weights[token, 0])
                for slot in range(1, k):
                    total = T.Bind(total + y[token, slot, column] * weights[token, slot])
                store(out, token, column, value=total)
    return function.kernel("combine_experts", "f32", Work(per_token=2 * k * hidden))
