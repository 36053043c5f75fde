"""Root-mean-square normalization, alone or of a sum: RMSNormalization of ONNX opset 23."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Registers, f32, store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.reduction import reduce_group
from ossc.compiler.lowering.kernel import Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work

ITEMS = 64


def rms_norm(*, hidden: int, epsilon: float, add: bool, n: int | None) -> Kernel:
    """Build ``x * weight / sqrt(mean(x²) + epsilon)`` over rows of ``hidden``.

    Parameters of the function: x ``[n, hidden]``, with ``add`` also residual ``[n, hidden]``,
    weight ``[hidden]`` → normed ``[n, hidden]``, with ``add`` also sum ``[n, hidden]``; all
    float32. With ``add`` the sum x + residual is normalized. One group a token.
    """
    operation = "add_rms_norm" if add else "rms_norm"
    with building(symbol(operation, hidden, epsilon, n=n), n) as function:
        terms = [function.per_token("x", "float32", hidden)]
        if add:
            terms.append(function.per_token("residual", "float32", hidden))
        weight = function.buffer("weight", "float32", hidden)
        normed = function.per_token("normed", "float32", hidden)
        total = function.per_token("sum", "float32", hidden) if add else terms[0]
        with function.grid(Groups(per_token=1), block=(ITEMS,)) as item:
            token, squares = item.group[0], Registers(1)
            squares.clear()
            with _columns(item.lane, hidden) as column:
                value = T.Bind(reduce(operator.add, [term[token, column] for term in terms]))
                if add:
                    store(total, token, column, value=value)
                squares.add(0, value * value)
            mean = reduce_group(item.lane, ITEMS, squares[0], operator.add) / f32(hidden)
            factor = T.Bind(f32(1) / tvm.tirx.sqrt(mean + f32(epsilon)))
            with _columns(item.lane, hidden) as column:
                scaled = total[token, column] * factor * weight[column]
                store(normed, token, column, value=scaled)
    return function.kernel(operation, "f32", Work(per_token=(5 if add else 4) * hidden))


@contextmanager
def _columns(lane: Expr, hidden: int) -> Iterator[Expr]:
    """Open the loop over a work-item's columns."""
    with T.serial(-(-hidden // ITEMS)) as turn:
        column = T.Bind(turn * ITEMS + lane)
        with T.If(column < hidden), T.Then():
            yield column
