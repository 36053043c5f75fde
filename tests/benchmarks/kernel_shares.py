"""From the times of kernels to the shares of a machine's limits that they reach."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ossc.runtimes.kernel_cost import Kind
from ossc.runtimes.profile.aggregation.executions import Execution
from ossc.runtimes.profile.prediction.efficiency import (
    TABLE,
    Efficiency,
    read_table,
    share_of_single_tokens,
)
from ossc.runtimes.profile.prediction.predict import idle_factor
from ossc.runtimes.profile.roofline import Roofline, limits, working_set_bytes

LEAST = 0.005
"""A limit below this share of the time says nothing of how near to it a kernel could come."""

UNDISTURBED = 0.9
"""Of the best arithmetic limit: below it, something else ran at the same time."""


@dataclass(frozen=True)
class Round:
    """Some tokens and a prompt, and the limits of the machine in the same second."""

    roofline: Roofline
    decode: list[list[Execution]]
    prefill: list[list[Execution]]


@dataclass
class _Sum:
    """Of all calls of one kind of kernel, in ms."""

    taken: float = 0
    memory: float = 0
    arithmetic: float = 0
    single: float = 0
    """The part of the arithmetic that is of tokens outside of tiles."""


def _sums(calls: Iterable[list[Execution]], roofline: Roofline) -> dict[Kind, _Sum]:
    """Add up times and limits by kind."""
    result: dict[Kind, _Sum] = defaultdict(_Sum)
    for call in calls:
        working_set = working_set_bytes((one.cost, one.call) for one in call)
        for one in call:
            cost = one.cost
            times = limits(cost, one.call, roofline, working_set)
            idle = idle_factor(one.step, one.call.tokens, roofline.threads)
            arithmetic = idle * (times.f32_ms + times.int8_ms)
            entry = result[cost.kind]
            entry.taken += max(one.ns / 1e6 - times.launch_ms, one.ns / 10e6)
            entry.memory += idle * times.memory_ms
            entry.arithmetic += arithmetic
            entry.single += arithmetic * share_of_single_tokens(cost, one.call)
    return result


@dataclass
class Shares:
    """What rounds say of one kind of kernel."""

    memory: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)
    chunk: list[float] = field(default_factory=list)

    def entry(self, kind: Kind) -> Efficiency:
        """Return the medians."""
        token = statistics.median(self.token or self.chunk or [1.0])
        return Efficiency(
            operation=kind[0],
            scheme=kind[1],
            arithmetic=kind[2],
            memory=statistics.median(self.memory),
            token=token,
            chunk=statistics.median(self.chunk or [token]),
        )


def undisturbed(rounds: list[tuple[Round, Round]]) -> list[tuple[Round, Round]]:
    """Return the rounds in which the machine did nothing else."""
    best = max(each.roofline.int8_gops for pair in rounds for each in pair)
    return [
        pair
        for pair in rounds
        if min(each.roofline.int8_gops for each in pair) > UNDISTURBED * best
    ]


def add_shares(found: dict[Kind, Shares], large: Round, small: Round) -> None:
    """Divide the limits of one round by its times.

    Args:
        found: Receives the shares.
        large: Of a model whose weights come from memory.
        small: Of a model whose weights stay in a cache.
    """
    near = _sums(small.decode, small.roofline)
    far = _sums(large.decode, large.roofline)
    chunks = _sums(large.prefill, large.roofline)
    for kind in {*far, *chunks}:
        shares, moved = found[kind], far.get(kind) or chunks[kind]
        shares.memory.append(moved.memory / moved.taken)
        one = near.get(kind, moved)
        if one.arithmetic > LEAST * one.taken:
            shares.token.append(one.arithmetic / one.taken)
        if kind in chunks and shares.token:
            _add_chunk(shares, chunks[kind])


def _add_chunk(shares: Shares, chunk: _Sum) -> None:
    filled = chunk.arithmetic - chunk.single
    taken = chunk.taken - chunk.single / shares.token[-1]
    if taken > 0 and filled > LEAST * chunk.taken:
        shares.chunk.append(filled / taken)


def write_table(isa: str, found: dict[Kind, Shares]) -> None:
    """Put the kinds that were measured in the place of an instruction set's entries of them."""
    tables = read_table() if TABLE.exists() else {}
    entries = {entry.kind: entry for entry in tables.get(isa, [])}
    entries |= {kind: shares.entry(kind) for kind, shares in found.items()}
    tables[isa] = [entries[kind] for kind in sorted(entries, key=str)]
    lines = [HEADER]
    for name, table in sorted(tables.items()):
        for entry in table:
            lines += ["", f"[[{name}.kernels]]"]
            lines += [f"{key} = {_toml(value)}" for key, value in _fields(entry).items()]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


HEADER = """\
# Shares of a machine's limits that kernels reach, by instruction set. Not edited by hand:
# tests/benchmarks/kernel_efficiency.py measures and writes it.
# runtimes/profile/prediction/efficiency.py says what the fields mean."""


def _fields(entry: Efficiency) -> dict[str, str | float]:
    names = ("operation", "scheme", "arithmetic", "memory", "token", "chunk")
    values = {name: getattr(entry, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _toml(value: str | float) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{float(f'{value:.3g}')}"
