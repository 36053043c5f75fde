"""Figures of several rounds, and whether they allow a conclusion.

Two runtimes are measured in turn; what is compared is the ratio within each round, and of these the
median. A sample does not count when other processes took a part of the CPUs, or when the memory's
bandwidth changed meanwhile: a virtual machine may get half of it from one second to the next. So
where bandwidth matters a round has several samples of each side, and those of one bandwidth are
compared: the sides may be at different distances in a fast minute and in a slow one. Too few rounds
that count, or ratios that differ much, give no verdict.
"""

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ossc.runtimes.profile.repeats import same_bandwidth

MAX_SPREAD = 0.15
"""Largest difference between two rounds' ratios, as a part of their median."""

MAX_OTHERS = 0.05
"""Largest part of the CPUs' time that others may take while a clock runs."""

MIN_ROUNDS = 3
"""Fewer rounds show no spread."""

MET_SAMPLES = 3
"""Of a turn that have to be at a bandwidth of an earlier turn of the other side."""

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

    def disturbance(self) -> str | None:
        """Return why it does not count; None when it does."""
        if self.others > MAX_OTHERS:
            return f"others took up to {self.others:.0%} of the CPUs"
        rates = self.read_gb_per_s
        if rates and not same_bandwidth(max(rates), min(rates)):
            return f"the read bandwidth went from {min(rates):.0f} to {max(rates):.0f} GB/s"
        return None

    def gb_per_s(self) -> float | None:
        """Return the read bandwidth; None where it does not matter, or was not one."""
        if not self.read_gb_per_s or self.disturbance():
            return None
        return statistics.mean(self.read_gb_per_s)

    def distance(self, other: "Sample") -> float:
        """Return the logarithm of how many times another's bandwidth is as high or as low."""
        rates = self.gb_per_s(), other.gb_per_s()
        assert rates[0] is not None, "it is undisturbed, and bandwidth matters"
        assert rates[1] is not None, "it is undisturbed, and bandwidth matters"
        return abs(math.log(rates[0] / rates[1]))


Side = Sequence[Sequence[Sample]]
"""Samples of one side in one mode: for each round one, or several."""


@dataclass(frozen=True)
class Band:
    """Bandwidths without a gap between them, in GB/s."""

    low: float
    high: float

    def __str__(self) -> str:
        ends = f"{self.low:.0f}", f"{self.high:.0f}"
        return "–".join(dict.fromkeys(ends))


def bands(sides: Sequence[Side]) -> list[Band]:
    """Return the bands in which undisturbed samples were measured, the slowest first."""
    samples = [sample for side in sides for sample in joined(side)]
    rates = sorted(rate for one in samples if (rate := one.gb_per_s()) is not None)
    found: list[Band] = []
    for rate in rates:
        if found and same_bandwidth(rate, found[-1].high):
            found[-1] = Band(found[-1].low, rate)
        else:
            found.append(Band(rate, rate))
    return found


def of_band(side: Side, band: Band) -> list[list[Sample]]:
    """Return the samples of each round that were measured in a band."""
    return [
        [one for one in samples if (rate := one.gb_per_s()) and band.low <= rate <= band.high]
        for samples in side
    ]


def compare(ours: Side, theirs: Side, *, more_is_better: bool) -> Comparison:
    """Compare two sides by the rounds that count; by all samples, without a verdict, if none does.

    Args:
        ours: As many rounds as ``theirs``; both have samples, perhaps of other rounds.
        theirs: The peer's.
        more_is_better: Whether the values are rates; otherwise they are times or sizes.
    """
    rounds = [pairs for a, b in zip(ours, theirs, strict=True) if (pairs := _pairs(a, b))]
    every = joined(ours), joined(theirs)
    medians = [tuple(statistics.median(one.value for one in side) for side in every)]
    ratios = [
        statistics.median(a / b if more_is_better else b / a for a, b in pairs)
        for pairs in rounds or [medians]
    ]
    ratio, reasons = Figure.of(ratios), []
    if len(rounds) < MIN_ROUNDS:
        found = {reason for side in every for one in side if (reason := one.disturbance())}
        count = f"{len(rounds)} of {len(ours)} rounds count, {MIN_ROUNDS} have to"
        reasons.append("; ".join([count, *sorted(found)]))
    elif ratio.spread > MAX_SPREAD:
        reasons.append(f"the ratio spreads over {ratio.spread:.0%}, {MAX_SPREAD:.0%} is allowed")
    return Comparison(ratio=ratio, reasons=tuple(reasons))


def have_met(samples: Sequence[Sample], earlier: Sequence[Sequence[Sample]]) -> bool:
    """Whether some samples of a turn can be compared with each earlier turn of the other side.

    Earlier turns whose bandwidth changed all the time are nothing to wait for.
    """
    return all(
        len(_pairs(samples, turn)) >= MET_SAMPLES
        for turn in earlier
        if any(one.gb_per_s() is not None for one in turn)
    )


def _pairs(ours: Sequence[Sample], theirs: Sequence[Sample]) -> list[tuple[float, float]]:
    """Pair the undisturbed values of a round: where bandwidth matters, those of the same one."""
    clean = [_undisturbed(samples) for samples in (ours, theirs)]
    if not all(clean):
        return []
    if any(one.gb_per_s() is None for samples in clean for one in samples):
        a, b = (statistics.median(one.value for one in samples) for samples in clean)
        return [(a, b)]
    return [
        (one.value, nearest.value)
        for one in clean[0]
        for nearest in [min(clean[1], key=one.distance)]
        if same_bandwidth(one.gb_per_s(), nearest.gb_per_s())
    ]


def joined(side: Side) -> list[Sample]:
    """Return the samples of all rounds."""
    return [sample for samples in side for sample in samples]


def counted(ours: Side, theirs: Side) -> list[tuple[list[Sample], list[Sample]]]:
    """Return the undisturbed samples of the rounds that count."""
    return [
        (_undisturbed(a), _undisturbed(b))
        for a, b in zip(ours, theirs, strict=True)
        if _pairs(a, b)
    ]


def _undisturbed(samples: Sequence[Sample]) -> list[Sample]:
    return [one for one in samples if one.disturbance() is None]


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
