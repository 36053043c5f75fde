"""Sorting a chunk's (token, slot) pairs by the expert that they chose."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.plan import Role


def group_by_expert(*, experts: int, k: int, n: int | None) -> Kernel:
    """Build a stable counting sort.

    Parameters of the function: indices int32 ``[n, k]`` → offsets int32 ``[experts + 1]``, order
    int32 ``[n, k]``. The pairs of expert e, as token · k + slot and rising, are
    ``order[offsets[e]:offsets[e + 1]]`` of the flat order. One task.
    """
    with building(symbol("group_by_expert", experts, k, n=n), n) as function:
        indices = function.per_token("indices", "int32", k)
        offsets = function.buffer("offsets", "int32", experts + 1, role=Role.EXPERT_BOUNDS)
        order = function.per_token("order", "int32", k, role=Role.EXPERT_ORDER)
        one = v.constant(1, "int32")
        with function.tasks(fixed=1):
            pairs = T.Bind(function.tokens * k)
            with T.serial(experts + 1) as expert:
                v.store(offsets, expert, value=v.constant(0, "int32"), lanes=1)
            with T.serial(pairs) as pair:
                after = T.Bind(indices[pair // k, pair % k] + one)
                v.store(offsets, after, value=offsets[after] + one, lanes=1)
            with T.serial(experts) as expert:
                total = offsets[expert + one] + offsets[expert]
                v.store(offsets, expert + one, value=total, lanes=1)
            # Each offset moves to its expert's end, which is the next expert's start …
            with T.serial(pairs) as pair:
                chosen = T.Bind(indices[pair // k, pair % k])
                place = T.Bind(offsets[chosen])
                v.store(order, place // k, place % k, value=pair, lanes=1)
                v.store(offsets, chosen, value=place + one, lanes=1)
            # … so move them back by one.
            with T.serial(experts) as expert:
                to = T.Bind(v.constant(experts, "int32") - expert)
                v.store(offsets, to, value=offsets[to - one], lanes=1)
            v.store(offsets, 0, value=v.constant(0, "int32"), lanes=1)
    return function.kernel("group_by_expert", "copy", Work())
