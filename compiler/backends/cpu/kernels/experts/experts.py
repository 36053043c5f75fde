"""Which tokens meet which expert, and where it lies: one token's directly, a chunk's by expert."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.packing import ALIGNMENT_BYTES, expert_stride
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights import find_formats
from ossc.compiler.backends.cpu.weights.format import WeightFormat
from ossc.compiler.lowering.kernel import Buffer, Expr, KernelBuilder, Parts
from ossc.runtimes.kernel_cost import JOINT

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


@dataclass(frozen=True, kw_only=True)
class Share:
    """The experts of one scheme."""

    weights: WeightFormat
    count: int
    stride_bytes: int
    """Of an expert, a multiple of `ALIGNMENT_BYTES`."""


def shares_of(
    scheme: str,
    counts: Sequence[int],
    size_bytes: Callable[[str], int],
) -> tuple[Share, ...]:
    """Return the experts of each scheme of a type.

    Args:
        scheme: Such as ``mxfp4``, or ``mxfp4+int4-g32``.
        counts: How many experts each has.
        size_bytes: Of a packed expert of a scheme.

    Raises:
        LoweringError: No kernel reads one of the schemes.
    """
    return tuple(
        Share(weights=weights, count=count, stride_bytes=expert_stride(size_bytes(weights.scheme)))
        for weights, count in zip(find_formats(scheme), counts, strict=True)
    )


def scheme_symbol(scheme: str) -> str:
    """Return the schemes of a type as a part of a C symbol."""
    return scheme.replace(JOINT, "_")


class ExpertWeights:
    """Packed weights of all experts, each found through a table.

    Parameters of the function: table int64 ``[experts]`` of byte offsets, or where there are
    several schemes ``[experts, 2]`` of the scheme's number and the offset; weights uint8. An expert
    may lie anywhere in the weights, at a multiple of `ALIGNMENT_BYTES`. The runtime does not hash
    what it maps, so a damaged table leads to a wrong expert, and never out of the weights.
    """

    def __init__(self, function: KernelBuilder, shares: Sequence[Share]) -> None:
        experts = sum(share.count for share in shares)
        size_bytes = sum(share.count * share.stride_bytes for share in shares)
        parts: Parts = ("expert", experts)
        self._shares = shares
        if len(shares) == 1:
            self._table = function.buffer("table", "int64", experts, parts=parts)
            self.buffer = function.buffer("weight", "uint8", size_bytes, parts=parts)
            self._size_bytes = v.constant(size_bytes, "int64")
        else:  # one kernel for all layers, however many of their experts are in which scheme
            self._table = function.buffer("table", "int64", experts, 2, parts=parts)
            self.buffer, self._size_bytes = function.bytes_of_any_size("weight", size_bytes, parts)

    def begins(self, task: ExpertTask) -> Iterator[tuple[int, Expr]]:
        """Emit a branch for each scheme, if there are several.

        Yields:
            The number of the scheme, and where the expert of the task begins, in bytes.
        """
        last = len(self._shares) - 1
        if last == 0:
            yield 0, self._begin(self._table[task.expert], 0)
            return
        number = T.Bind(self._table[task.expert, 0])
        place = T.Bind(self._table[task.expert, 1])
        with ExitStack() as branches:
            for index in range(last):
                branches.enter_context(T.If(number == v.constant(index, "int64")))
                with T.Then():
                    yield index, self._begin(place, index)
                branches.enter_context(T.Else())
            yield last, self._begin(place, last)

    def _begin(self, place: Expr, index: int) -> Expr:
        """Keep an offset to those at which a whole expert of a scheme fits into the weights."""
        last = self._size_bytes - v.constant(self._shares[index].stride_bytes, "int64")
        kept = tirx.max(tirx.min(place, last), v.constant(0, "int64"))
        return T.Bind(tirx.bitwise_and(kept, v.constant(-ALIGNMENT_BYTES, "int64")))


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
