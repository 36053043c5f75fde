"""Repeats of one measurement, and which of them count.

A virtual machine may get half of its memory's bandwidth from one minute to the next, and other work
may take a CPU for a while. So the bandwidth is probed between repeats, and the runner says how long
its threads waited. What counts are the repeats in which nobody waited and the bandwidth stayed one
and the same; the others are made again, up to a limit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from ossc.runtimes.profile.aggregation.executions import TimedCall
from ossc.runtimes.profile.profile import Conditions

MAX_WAITED = 0.03
"""Share of the threads' time without a CPU. On a machine left alone it is under 1 %, and beside a
process that works 5 % of the time it is 4 % and more; see docs/regression-gate.md."""

MAX_DRIFT = 0.1
"""How far a bandwidth may be from another one and still be the same."""

MAX_TRIES = 3
"""Repeats that are made at most, over those that were asked for."""

MIN_COUNTED = 3
"""Fewer say nothing of how much they differ; then all count, and the profile says so."""


def same_bandwidth(one: float, other: float) -> bool:
    """Whether two rates are the same but for the noise of measuring them."""
    return max(one, other) <= (1 + MAX_DRIFT) * min(one, other)


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A length or depth once without and once with timestamps."""

    plain_ms: tuple[float, ...]
    """Wall times of the calls without timestamps."""
    timed_ms: tuple[float, ...]
    calls: tuple[TimedCall, ...]
    """Those with timestamps."""
    thread_s: float
    """Of all threads together while calls ran."""
    waited_s: float
    """The part of it in which they waited for a CPU."""
    read_gb_per_s: tuple[float, ...] = ()
    """Bandwidth just before and just after; empty where nothing was probed."""

    @property
    def waited(self) -> float:
        """Share of the threads' time without a CPU."""
        return self.waited_s / self.thread_s if self.thread_s else 0.0

    def is_steady(self, gb_per_s: float) -> bool:
        """Whether the bandwidth was this one, before and after."""
        return all(same_bandwidth(rate, gb_per_s) for rate in self.read_gb_per_s)


@dataclass(kw_only=True)
class Series:
    """All repeats of one length or depth."""

    wanted: int
    """That should count."""
    working_set_bytes: int = 0
    """What was read to probe the bandwidth; 0 when nothing was."""
    may_wait: bool = False
    """Whether threads wait for each other, because there are more than CPUs, or emulated ones."""
    made: list[Repeat] = field(default_factory=list)
    """In their order."""

    def run(
        self, measure: Callable[[bool], Repeat], probe: Callable[[], float] | None = None
    ) -> None:
        """Make repeats until enough of them count, or too many were made.

        Args:
            measure: Makes one; told whether the calls without timestamps come first.
            probe: Returns the bandwidth in GB/s.
        """
        before: tuple[float, ...] = () if probe is None else (probe(),)
        while len(self.made) < MAX_TRIES * self.wanted and len(self.counted()) < self.wanted:
            made = measure(len(self.made) % 2 == 0)
            after: tuple[float, ...] = () if probe is None else (probe(),)
            self.made.append(replace(made, read_gb_per_s=before + after))
            before = after

    def counted(self) -> list[Repeat]:
        """Return the largest set of undisturbed repeats of one bandwidth."""
        quiet = [one for one in self.made if self.may_wait or one.waited <= MAX_WAITED]
        rates = [rate for one in quiet for rate in one.read_gb_per_s]
        sets = [[one for one in quiet if one.is_steady(rate)] for rate in rates] or [quiet]
        return max(sets, key=len)

    @property
    def steady(self) -> bool:
        """Whether enough repeats count."""
        return len(self.counted()) >= min(MIN_COUNTED, self.wanted)

    @property
    def used(self) -> list[Repeat]:
        """The repeats whose times are reported: all of them where too few count."""
        return self.counted() if self.steady else self.made

    @property
    def plain_ms(self) -> list[float]:
        """Wall times without timestamps, in the order in which they were measured."""
        return [ms for one in self.used for ms in one.plain_ms]

    @property
    def calls(self) -> list[TimedCall]:
        """The calls with timestamps, in their order."""
        return [call for one in self.used for call in one.calls]

    def conditions(self) -> Conditions:
        """Sum up what the machine gave to the repeats that are reported."""
        used, all_rates = self.used, _rates(self.made)
        return Conditions(
            working_set_bytes=self.working_set_bytes,
            read_gb_per_s=median(_rates(used)) if all_rates else None,
            lowest_gb_per_s=min(all_rates, default=None),
            highest_gb_per_s=max(all_rates, default=None),
            waited=waited(used),
            most_waited=max(one.waited for one in self.made),
            repeats=len(used),
            left_out=len(self.made) - len(used),
            steady=self.steady,
        )


def waited(repeats: Sequence[Repeat]) -> float:
    """Return the share of the threads' time in all these repeats in which they had no CPU."""
    total = sum(one.thread_s for one in repeats)
    return sum(one.waited_s for one in repeats) / total if total else 0.0


def _rates(repeats: Sequence[Repeat]) -> list[float]:
    return [rate for one in repeats for rate in one.read_gb_per_s]
