"""Figures of several rounds, and whether they allow a conclusion.

Two runtimes are measured in turn, so that a slow minute of the machine meets both; what is compared
is the ratio within each round, and of these the median. A ratio that changes much from round to
round, or a machine that others use meanwhile, gives no verdict.
"""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_SPREAD = 0.15
"""Largest difference between two rounds' ratios, as a part of their median."""

MAX_OTHERS = 0.05
"""Largest part of the CPUs' time that others may take while a clock runs."""

MIN_ROUNDS = 3
"""Fewer rounds show no spread."""

CPU_FIELDS = slice(0, 8)
"""user, nice, system, idle, iowait, irq, softirq, steal, in /proc/stat."""

IDLE_FIELDS = (3, 4)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of one side, from several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Summarize at least one value."""
        return cls(median=statistics.median(values), least=min(values), most=max(values))

    @property
    def spread(self) -> float:
        """From the least to the most, as a part of the median."""
        return (self.most - self.least) / self.median if self.median else 0.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How many times better one side is than the other, from the ratios of each round."""

    ratio: Figure
    reasons: tuple[str, ...]
    """Why nothing may be concluded; empty when it may."""

    @property
    def conclusive(self) -> bool:
        """Whether the ratio may be quoted."""
        return not self.reasons


def compare(
    ours: Sequence[float], theirs: Sequence[float], others: Sequence[float], *, more_is_better: bool
) -> Comparison:
    """Compare two sides that were measured in the same rounds.

    Args:
        ours: One value for each round.
        theirs: As many.
        others: The part of the CPUs' time that other processes took during each measurement of
            either side, from 0 to 1.
        more_is_better: Whether the values are rates; otherwise they are times or sizes.
    """
    ratios = [
        a / b if more_is_better else b / a for a, b in zip(ours, theirs, strict=True) if a and b
    ]
    ratio = Figure.of(ratios) if ratios else Figure(median=0.0, least=0.0, most=0.0)
    reasons = []
    if len(ratios) < MIN_ROUNDS:
        reasons.append(f"{len(ratios)} rounds; {MIN_ROUNDS} are needed")
    if ratio.spread > MAX_SPREAD:
        reasons.append(f"the ratio spreads over {ratio.spread:.0%}; {MAX_SPREAD:.0%} is allowed")
    busy = max(others, default=0.0)
    if busy > MAX_OTHERS:
        reasons.append(f"others took {busy:.0%} of the CPUs; {MAX_OTHERS:.0%} is allowed")
    return Comparison(ratio=ratio, reasons=tuple(reasons))


@dataclass(frozen=True, kw_only=True)
class CpuTime:
    """Ticks that the machine's CPUs have spent since it started."""

    total: int
    busy: int
    """All but idle ones: what the hypervisor took away counts too."""

    own: int
    """Of the measured process, from its start, and of this one."""


def read_cpu_time(*pids: int) -> CpuTime:
    """Read the counters of the machine, of some processes, and of this process."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    ticks = [int(field) for field in fields[CPU_FIELDS]]
    idle = sum(ticks[i] for i in IDLE_FIELDS)
    own = sum(process_ticks(process) for process in (*pids, os.getpid()))
    return CpuTime(total=sum(ticks), busy=sum(ticks) - idle, own=own)


def process_ticks(pid: int) -> int:
    """Ticks of a process in user and kernel mode, its ended threads' too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def others_share(begin: CpuTime, end: CpuTime) -> float:
    """The part of the CPUs' time between two readings that neither process used."""
    total = end.total - begin.total
    others = (end.busy - begin.busy) - (end.own - begin.own)
    return max(0.0, others / total) if total else 0.0
