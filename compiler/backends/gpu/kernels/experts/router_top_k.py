"""Choosing the k experts of the largest logits, and the softmax over those k."""

from collections.abc import Callable
from dataclasses import dataclass

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import (
    Local,
    Registers,
    barrier,
    bits,
    i32,
    select,
    store,
)
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.compiler.lowering.router_order import (
    INFINITY_BITS,
    MAGNITUDE_BITS,
    NAN_KEY,
    check_choice,
)
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.plan import Role

ITEMS = 64


def router_top_k(*, experts: int, k: int, n: int | None) -> Kernel:
    """Build the choice of ``k`` of ``experts``.

    Parameters of the function: logits ``[n, experts]`` → indices int32 ``[n, k]``, by falling
    logit, and weights float32 ``[n, k]``, their softmax. Of equal logits the lower index comes
    first; NaN comes first. One group a token.

    Raises:
        LoweringError: There are fewer experts than are to be chosen, or none is.
    """
    check_choice(experts, k)
    with building(symbol("router_top_k", experts, k, n=n), n) as function:
        logits = function.per_token("logits", "float32", experts)
        indices = function.per_token("indices", "int32", k, role=Role.EXPERT_INDICES)
        weights = function.per_token("weights", "float32", k)
        with function.grid(Groups(per_token=1), block=(ITEMS,)) as item:
            token, lane = item.group[0], item.lane
            keys, chosen = Local(experts, dtype="int32"), Local(k, dtype="int32")
            for expert in each(experts, lane, ITEMS):
                keys[expert] = _key(logits[token, expert])
            barrier()
            search = _Search(keys, experts, lane)
            with T.serial(k) as slot:
                search.find_next()
                with T.If(lane.equal(0)), T.Then():
                    chosen[slot] = search.found
                    store(indices, token, slot, value=search.found)
            barrier()
            with T.If(lane.equal(0)), T.Then():
                _softmax(lambda slot: logits[token, chosen[slot]], weights, token, k)
    return function.kernel("router_top_k", "copy", Work())


def _key(logit: Expr) -> Expr:
    """Return an integer that sorts like the number; both zeros are equal, NaN is largest."""
    number = T.Bind(bits(T.Bind(logit), "int32"))
    magnitude = T.Bind(number & i32(MAGNITUDE_BITS))
    ordered = select(number < i32(0), i32(0) - magnitude, magnitude)
    return T.Bind(select(magnitude > i32(INFINITY_BITS), i32(NAN_KEY), ordered))


@dataclass(frozen=True)
class _Place:
    """An expert in the order of the choice: by falling key, then by rising index."""

    key: Expr
    expert: Expr

    def before(self, other: "_Place") -> Expr:
        """Say whether it comes before another one."""
        same = tvm.tirx.all(self.key.equal(other.key), self.expert < other.expert)
        return tvm.tirx.any(self.key > other.key, same)


class _Search:
    """The search of all work-items for the best expert after the last one."""

    def __init__(self, keys: Local, experts: int, lane: Expr) -> None:
        self._keys, self._experts, self._lane = keys, experts, lane
        self._best_keys, self._best = (Local(ITEMS, dtype="int32") for _ in range(2))
        self._last = Registers(2, "int32")
        self._last[0], self._last[1] = i32(NAN_KEY), i32(-1)

    @property
    def found(self) -> Expr:
        """The expert that was found last."""
        return self._last[1]

    def find_next(self) -> None:
        """Emit the search: each work-item's best, then the best of all."""
        best = Registers(2, "int32")
        best[0], best[1] = i32(-NAN_KEY - 1), i32(self._experts)
        for expert in each(self._experts, self._lane, ITEMS):
            place = _Place(T.Bind(self._keys[expert]), expert)
            after = _Place(self._last[0], self._last[1]).before(place)
            better = place.before(_Place(best[0], best[1]))
            with T.If(tvm.tirx.all(after, better)), T.Then():
                best[0], best[1] = place.key, expert
        self._best_keys[self._lane], self._best[self._lane] = best[0], best[1]
        barrier()
        half = ITEMS // 2
        while half:
            with T.If(self._lane < half), T.Then():
                self._take_better(T.Bind(self._lane + half))
            barrier()
            half //= 2
        self._last[0], self._last[1] = self._best_keys[0], self._best[0]
        barrier()

    def _take_better(self, other: Expr) -> None:
        """Emit the choice between a work-item's best and that of another one."""
        mine, theirs = (
            _Place(T.Bind(self._best_keys[at]), T.Bind(self._best[at]))
            for at in (self._lane, other)
        )
        with T.If(theirs.before(mine)), T.Then():
            self._best_keys[self._lane], self._best[self._lane] = theirs.key, theirs.expert


def _softmax(logit: Callable[[Expr], Expr], weights: Buffer, token: Expr, k: int) -> None:
    """Emit the softmax of a token's chosen logits, of which the first one is the largest."""
    largest = T.Bind(logit(i32(0)))
    total = Registers(1)
    total.clear()
    with T.serial(k) as slot:
        total.add(0, tvm.tirx.exp(logit(slot) - largest))
    with T.serial(k) as slot:
        store(weights, token, slot, value=tvm.tirx.exp(logit(slot) - largest) / total[0])
