"""How close each kind of kernel comes to the limits of a machine, as measured once.

The table is ``targets/kernel_efficiency.toml``; ``tests/benchmarks/kernel_efficiency.py`` measures
it. A prediction divides the limits of a call by these shares.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import ossc.targets
from ossc.runtimes.kernel_cost import JOINT, Call, KernelCost, Kind
from ossc.targets import all_targets
from ossc.targets.errors import TargetError, UnknownNameError

TABLE = Path(ossc.targets.__file__).with_name("kernel_efficiency.toml")

LEFT_OVER_TOKENS = 1.5
"""Tokens that share a weight but fill no tile, on average over the lengths of a chunk: tiles are of
four tokens, and the rest is computed one by one."""


AS_FAST_AS = {
    "attention": "sink_attention",
    "expert_glu": "expert_swiglu",
    "linear_glu": "linear",
}
"""Operations without entries of their own, and those that do the same to every byte and product."""


@dataclass(frozen=True, kw_only=True)
class Efficiency:
    """Shares of a machine's limits that one kind of kernel reaches."""

    operation: str
    scheme: str | None
    arithmetic: str

    memory: float
    """Of the read rate, when nothing else limits it."""

    token: float
    """Of the arithmetic, for one token whose weights are near."""

    chunk: float
    """Of the arithmetic, for tokens that fill tiles."""

    @property
    def kind(self) -> Kind:
        """That of the kernels' costs."""
        return self.operation, self.scheme, self.arithmetic

    def share(self, cost: KernelCost, call: Call) -> float:
        """Return the share of the arithmetic that a call reaches, by how many tokens share weights.

        Tokens that fill tiles go at the rate of a chunk, the others at that of one token.
        """
        single = share_of_single_tokens(cost, call)
        return 1 / (single / self.token + (1 - single) / self.chunk)


@dataclass(frozen=True)
class Efficiencies:
    """The kernels of one instruction set."""

    isa: str
    entries: Iterable[Efficiency]
    _by_kind: dict[Kind, Efficiency] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_kind", {each.kind: each for each in self.entries})

    def of(self, cost: KernelCost) -> Efficiency:
        """Return the entry of a kernel, or of one that is as fast.

        A kernel of experts in several schemes has the smallest shares of those that compute as it
        does: with integers, of ``mxfp4+bf16`` the entry of mxfp4.

        Raises:
            TargetError: This kind was never measured.
        """
        own = [replace(cost, scheme=scheme) for scheme in schemes_of(cost)]
        entries = [self._find(each) for each in own]
        for each, entry in zip(own, entries, strict=True):
            if entry is None and (len(own) == 1 or not self._find(replace(each, arithmetic="f32"))):
                raise self._unknown(each)
        known = [entry for entry in entries if entry is not None]
        if len(own) == 1:
            return known[0]
        if not known:
            raise self._unknown(cost)
        return Efficiency(
            operation=cost.operation,
            scheme=cost.scheme,
            arithmetic=cost.arithmetic,
            memory=min(entry.memory for entry in known),
            token=min(entry.token for entry in known),
            chunk=min(entry.chunk for entry in known),
        )

    def _find(self, cost: KernelCost) -> Efficiency | None:
        """Return the entry of a kernel of one scheme, or of one that is as fast."""
        alike = (AS_FAST_AS.get(cost.operation, cost.operation), cost.scheme, cost.arithmetic)
        return self._by_kind.get(cost.kind, self._by_kind.get(alike))

    def _unknown(self, cost: KernelCost) -> TargetError:
        name = " ".join(part for part in cost.kind if part)
        return TargetError(
            f"The speed of {name} was never measured for {self.isa}, so nothing can be predicted; "
            "run tests/benchmarks/kernel_efficiency.py."
        )


def schemes_of(cost: KernelCost) -> list[str | None]:
    """Return the scheme of a kernel's weights, or each of several; one None without any."""
    return list(cost.scheme.split(JOINT)) if cost.scheme else [None]


def read_table() -> dict[str, list[Efficiency]]:
    """Return all that was measured, by instruction set."""
    tables = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {isa: [_entry(kernel) for kernel in table["kernels"]] for isa, table in tables.items()}


@cache
def find_efficiencies(isa: str) -> Efficiencies:
    """Return what was measured for an instruction set.

    A further instruction set has kernels only of what it makes faster; the other kinds of a bundle
    are those of the target's own set, and so are their shares.

    Raises:
        UnknownNameError: Nothing was.
    """
    measured = read_table()
    if isa not in measured:
        raise UnknownNameError("instruction set with measured kernels", isa, measured)
    own = {
        target.host.kernel_isa
        for target in all_targets()
        for each in target.host.instruction_sets
        if each.name == isa
    }
    return Efficiencies(isa, [entry for name in (*sorted(own), isa) for entry in measured[name]])


def _entry(fields: Mapping[str, Any]) -> Efficiency:
    return Efficiency(
        operation=fields["operation"],
        scheme=fields.get("scheme"),
        arithmetic=fields["arithmetic"],
        memory=fields["memory"],
        token=fields["token"],
        chunk=fields["chunk"],
    )


def share_of_single_tokens(cost: KernelCost, call: Call) -> float:
    """Return which share of a call's tokens fill no tile with others that meet the same weight."""
    sharing: float = call.tokens
    if call.experts:
        sharing *= cost.experts_per_tok / call.experts
    return min(1.0, LEFT_OVER_TOKENS / max(1.0, sharing))
