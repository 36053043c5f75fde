"""Figures of several rounds, and whether they allow a conclusion.

Two runtimes are measured in turn; what is compared is the ratio within each round, and of these the
median. A round does not count when other processes took a part of the CPUs, or when the memory's
bandwidth was not the same for both sides: a virtual machine may get half of it from one minute to
the next. Too few rounds that count, or ratios that differ much, give no verdict.
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

MAX_DRIFT = 0.1
"""Largest change of the read bandwidth between the measurements of a round."""

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


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One measurement of one row."""

    value: float
    others: float = 0.0
    """Part of the CPUs' time that other processes took meanwhile."""

    read_gb_per_s: tuple[float, ...] = ()
    """Read bandwidth just before and just after, where it matters."""

    read_huge_gb_per_s: tuple[float, ...] = ()
    """The same from huge pages."""


Round = tuple[Sample, Sample]
"""Ours, and theirs."""


def disturbance(samples: Round) -> str | None:
    """Return why a round does not count; None when it does."""
    others = max(sample.others for sample in samples)
    if others > MAX_OTHERS:
        return f"others took up to {others:.0%} of the CPUs"
    rates = [rate for sample in samples for rate in sample.read_gb_per_s]
    if rates and max(rates) > (1 + MAX_DRIFT) * min(rates):
        return f"the read bandwidth went from {min(rates):.0f} to {max(rates):.0f} GB/s"
    return None


def undisturbed(rounds: Sequence[Round]) -> list[Round]:
    """Return the rounds that count."""
    return [samples for samples in rounds if disturbance(samples) is None]


def compare(rounds: Sequence[Round], *, more_is_better: bool) -> Comparison:
    """Compare two sides by the rounds that count; by all, without a verdict, when none does.

    Args:
        rounds: At least one.
        more_is_better: Whether the values are rates; otherwise they are times or sizes.
    """
    clean = undisturbed(rounds)
    pairs = [(ours.value, theirs.value) for ours, theirs in clean or rounds]
    ratio = Figure.of([a / b if more_is_better else b / a for a, b in pairs])
    reasons = []
    if len(clean) < MIN_ROUNDS:
        found = sorted({reason for reason in map(disturbance, rounds) if reason})
        count = f"{len(clean)} of {len(rounds)} rounds count, {MIN_ROUNDS} have to"
        reasons.append("; ".join([count, *found]))
    elif ratio.spread > MAX_SPREAD:
        reasons.append(f"the ratio spreads over {ratio.spread:.0%}, {MAX_SPREAD:.0%} is allowed")
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
