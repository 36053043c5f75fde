"""Sorting a chunk's (token, slot) pairs by the expert that they chose."""

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, Registers, barrier, i32, store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.lowering.kernel import Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.plan import Role

ITEMS = 64


def group_by_expert(*, experts: int, k: int, n: int | None) -> Kernel:
    """Build a stable counting sort.

    Parameters of the function: indices int32 ``[n, k]`` → offsets int32 ``[experts + 1]``, order
    int32 ``[n, k]``. The pairs of expert e, as token · k + slot and rising, are
    ``order[offsets[e]:offsets[e + 1]]`` of the flat order. One group an expert, and one for the
    end; a work-item counts in a run of neighbouring pairs.
    """
    with building(symbol("group_by_expert", experts, k, n=n), n) as function:
        indices = function.per_token("indices", "int32", k)
        offsets = function.buffer("offsets", "int32", experts + 1, role=Role.EXPERT_BOUNDS)
        order = function.per_token("order", "int32", k, role=Role.EXPERT_ORDER)
        with function.grid(Groups(fixed=experts + 1), block=(ITEMS,)) as item:
            expert, lane = item.group[0], item.lane
            pairs = T.Bind(function.tokens * k)
            run = T.Bind(tvm.tirx.truncdiv(pairs + (ITEMS - 1), i32(ITEMS)))
            first = T.Bind(tvm.tirx.Min(lane * run, pairs))
            count = T.Bind(tvm.tirx.Min(run, pairs - first))

            def chosen(pair: Expr) -> Expr:
                return T.Bind(indices[pair // k, pair % k])

            found = Registers(2, "int32")  # pairs of experts before this one, and of this one
            found.clear()
            with T.serial(count) as index:
                other = chosen(T.Bind(first + index))
                for at, is_one in enumerate((other < expert, other.equal(expert))):
                    found.add(at, is_one.astype("int32"))
            begin, place = _begins(found, lane)
            with T.If(lane.equal(0)), T.Then():
                store(offsets, expert, value=begin)
            next_place = Registers(1, "int32")
            next_place[0] = place
            with T.serial(count) as index:
                pair = T.Bind(first + index)
                with T.If(chosen(pair).equal(expert)), T.Then():
                    to = T.Bind(next_place[0])
                    store(order, to // k, to % k, value=pair)
                    next_place[0] = to + 1
    return function.kernel("group_by_expert", "copy", Work())


def _begins(found: Registers, lane: Expr) -> tuple[Expr, Expr]:
    """Emit where the pairs of a group's expert begin, and those of a work-item among them."""
    counts = [Local(ITEMS, dtype="int32") for _ in range(2)]
    for at, count in enumerate(counts):
        count[lane] = found[at]
    barrier()
    totals = Registers(2, "int32")
    totals.clear()
    with T.serial(ITEMS) as other:
        totals.add(0, counts[0][other])
        with T.If(other < lane), T.Then():
            totals.add(1, counts[1][other])
    return T.Bind(totals[0]), T.Bind(totals[0] + totals[1])
