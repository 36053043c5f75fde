"""Choosing the k experts of the largest logits, and the softmax over those k."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.vector_math import exp
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, building, symbol
from ossc.compiler.lowering.router_order import (
    INFINITY_BITS,
    MAGNITUDE_BITS,
    NAN_KEY,
    check_choice,
)
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.plan import Role


def router_top_k(*, experts: int, k: int, n: int | None) -> Kernel:
    """Build the choice of ``k`` of ``experts``.

    Parameters of the function: logits ``[n, experts]`` → indices int32 ``[n, k]``, by falling
    logit, and weights float32 ``[n, k]``, their softmax. Of equal logits the lower index comes
    first; NaN comes first. One task a token.

    Raises:
        LoweringError: There are fewer experts than are to be chosen, or none is.
    """
    check_choice(experts, k)
    with building(symbol("router_top_k", experts, k, n=n), n) as function:
        logits = function.per_token("logits", "float32", experts)
        indices = function.per_token("indices", "int32", k, role=Role.EXPERT_INDICES)
        weights = function.per_token("weights", "float32", k)
        with function.tasks(per_token=1) as token:
            last = v.Registers(2, "int32", lanes=1)  # key and index of the expert chosen before
            last.fill([0], 2**31 - 1)
            last.fill([1], -1)
            with T.serial(k) as slot:
                _choose(logits, token, experts, last)
                v.store(indices, token, slot, value=last[1], lanes=1)
                v.store(weights, token, slot, value=logits[token, last[1]], lanes=1)
            _softmax(weights, token, k)
    return function.kernel("router_top_k", "copy", Work())


def _choose(logits: Buffer, token: Expr, experts: int, last: v.Registers) -> None:
    """Find the best expert that comes after the last one in the order (key falling, index)."""
    best = v.Registers(2, "int32", lanes=1)
    best.fill([0, 1], -1)
    with T.serial(experts) as expert:
        key = _key(logits[token, expert])
        after = (key < last[0]) | ((key == last[0]) & (expert > last[1]))
        with T.If(after & ((best[1] < v.constant(0, "int32")) | (key > best[0]))), T.Then():
            best[0] = key
            best[1] = expert
    last[0] = best[0]
    last[1] = best[1]


def _key(logit: Expr) -> Expr:
    """Return an integer that sorts like the number; both zeros are equal, NaN is largest."""
    bits = T.Bind(v.bits(logit, "int32"))
    magnitude = T.Bind(bits & v.constant(MAGNITUDE_BITS, "int32"))
    ordered = v.select(bits < v.constant(0, "int32"), -magnitude, magnitude)
    is_nan = magnitude > v.constant(INFINITY_BITS, "int32")
    return T.Bind(v.select(is_nan, v.constant(NAN_KEY, "int32"), ordered))


def _softmax(weights: Buffer, token: Expr, k: int) -> None:
    largest = T.Bind(weights[token, 0])
    total = v.Registers(1, lanes=1)
    total.fill([0], 0)
    with T.serial(k) as slot:
        v.store(weights, token, slot, value=exp(weights[token, slot] - largest), lanes=1)
        total[0] = total[0] + weights[token, slot]
    with T.serial(k) as slot:
        v.store(weights, token, slot, value=weights[token, slot] / total[0], lanes=1)
