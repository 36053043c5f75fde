"""Which tokens meet which expert, and where it lies: one token's directly, a chunk's by expert."""

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.packing import ALIGNMENT_BYTES
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Buffer, Expr, KernelBuilder, Parts

Pair = tuple[Expr, Expr]
"""A token and one of its slots."""


@dataclass(frozen=True, kw_only=True)
class ExpertTask:
    """One panel of rows of one expert, and the pairs that chose it."""

    expert: Expr
    panel: Expr
    first: Expr
    """Place of the first pair in the order by expert; the slot, for a single token."""

    pairs: Expr
    order: Buffer | None
    k: int

    def pair(self, number: Expr) -> Pair:
        """Return one of the pairs."""
        if self.order is None:
            return v.constant(0, "int32"), self.first
        place = T.Bind(self.first + number)
        pair = T.Bind(self.order[place // self.k, place % self.k])
        return T.Bind(pair // self.k), T.Bind(pair % self.k)


class ExpertWeights:
    """Packed weights of all experts, each found through a table of byte offsets.

    Parameters of the function: table int64 ``[experts]``, weights uint8. An expert may lie anywhere
    in the weights, at a multiple of `ALIGNMENT_BYTES`. The runtime does not hash what it maps, so a
    damaged table leads to a wrong expert, and never out of the weights.
    """

    def __init__(self, function: KernelBuilder, experts: int, size_bytes: int) -> None:
        parts: Parts = ("expert", experts)
        self._table = function.buffer("table", "int64", experts, parts=parts)
        self.buffer = function.buffer("weight", "uint8", experts * size_bytes, parts=parts)
        self._last = (experts - 1) * size_bytes

    def begin(self, task: ExpertTask) -> Expr:
        """Emit where the expert of a task begins, in bytes."""
        last, first = (v.constant(value, "int64") for value in (self._last, 0))
        place = tirx.max(tirx.min(self._table[task.expert], last), first)
        return T.Bind(tirx.bitwise_and(place, v.constant(-ALIGNMENT_BYTES, "int64")))


class Routing:
    """The buffers that say which expert each pair chose.

    A single token has indices int32 ``[1, k]``, and a task for each slot and panel. A chunk has
    offsets ``[experts + 1]`` and order ``[n, k]`` of `group_by_expert`, and a task for each expert
    and panel; an expert that nobody chose costs nothing.
    """

    def __init__(self, function: KernelBuilder, experts: int, k: int, n: int | None) -> None:
        self._k = k
        self._single = n == 1
        self._by_task = k if self._single else experts
        if self._single:
            self._indices = function.per_token("indices", "int32", k)
        else:
            self._offsets = function.buffer("offsets", "int32", experts + 1)
            self._order = function.per_token("order", "int32", k)

    def tasks(self, panels: int) -> int:
        """Return the number of tasks for ``panels`` panels of rows an expert."""
        return self._by_task * panels

    def task(self, number: Expr, panels: int) -> ExpertTask:
        """Emit what finds a task's expert and pairs."""
        outer, panel = T.Bind(number // panels), T.Bind(number % panels)
        if self._single:
            expert = T.Bind(self._indices[0, outer])
            return ExpertTask(
                expert=expert, panel=panel, first=outer, pairs=1, order=None, k=self._k
            )
        first = T.Bind(self._offsets[outer])
        pairs = T.Bind(self._offsets[outer + v.constant(1, "int32")] - first)
        return ExpertTask(
            expert=outer, panel=panel, first=first, pairs=pairs, order=self._order, k=self._k
        )


def expert_biases(function: KernelBuilder, experts: int, rows: int) -> Buffer:
    """Add the biases ``[experts, rows]`` to a function."""
    return function.buffer("bias", "float32", experts, rows, parts=("expert", experts))
