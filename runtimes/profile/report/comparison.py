"""Several profiles side by side in the terminal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ossc.runtimes.profile.profile import PhaseName, Profile
from ossc.runtimes.profile.report.findings import Timing, of_bounds, phase_kernels, timings
from ossc.runtimes.profile.report.quantities import (
    MISSING,
    format_noise,
    format_share,
    format_time,
    shorten,
    significant,
)
from ossc.runtimes.sizes import format_bytes

LABEL_WIDTH = 24
COLUMN_WIDTH = 23
COLUMNS = 3
"""Profiles in one block; more make more blocks, each with the first one to compare with."""

TOP_OPERATIONS = 6
"""Kinds of kernels whose times in decode are listed."""


@dataclass(frozen=True, kw_only=True)
class _Row:
    title: str
    cells: list[str]
    """One for each profile."""


def to_comparison(profiles: Sequence[Profile]) -> str:
    """Write profiles beside each other; times are followed by their ratio to the first's.

    An emulated time has no ratio and says what it is.
    """
    rows = list(_rows(profiles))
    others = range(1, len(profiles))
    step = COLUMNS - 1
    blocks = [[0, *others[begin : begin + step]] for begin in range(0, max(1, len(others)), step)]
    return "\n".join("".join(_lines(rows, block)) for block in blocks)


def _lines(rows: Sequence[_Row], block: Sequence[int]) -> Iterator[str]:
    for row in rows:
        cells = (shorten(row.cells[index], COLUMN_WIDTH) for index in block)
        line = "".join(f"  {cell:>{COLUMN_WIDTH}}" for cell in cells)
        yield f"{shorten(row.title, LABEL_WIDTH):{LABEL_WIDTH}}{line}".rstrip() + "\n"


def _rows(profiles: Sequence[Profile]) -> Iterator[_Row]:
    yield _row("", profiles, lambda p: p.bundle.path[-COLUMN_WIDTH:])
    yield _row("target", profiles, lambda p: p.bundle.target)
    yield _row("place", profiles, _place)
    yield _row("device", profiles, _device)
    yield _row("CPU", profiles, lambda p: p.machine.cpu_model or MISSING)
    yield _row("threads", profiles, lambda p: str(p.workload.threads))
    yield _row("preset, KV cache", profiles, lambda p: f"{p.bundle.preset}, {p.workload.kv}")
    yield _row("weights", profiles, lambda p: format_bytes(p.bundle.weights_bytes))
    yield _row("peak memory", profiles, lambda p: format_bytes(p.memory.peak_rss_bytes))
    yield _row("  anonymous", profiles, lambda p: format_bytes(p.memory.peak_anonymous_bytes))
    yield _times("load", profiles, [p.start.load_ms for p in profiles])
    yield _times("first token", profiles, [p.start.first_token_ms for p in profiles])
    yield from _timings(profiles, "prefill")
    yield from _timings(profiles, "decode")
    yield _row("decode, of its limits", profiles, _of_limits)
    for operation in _top_operations(profiles):
        times = [_operation_ms(profile, operation) for profile in profiles]
        yield _times(f"  {operation}", profiles, times)


def _row(title: str, profiles: Sequence[Profile], cell: Callable[[Profile], str]) -> _Row:
    return _Row(title=title, cells=[cell(profile) for profile in profiles])


def _place(profile: Profile) -> str:
    return f"{profile.place.name} EMULATED" if profile.place.emulated else profile.place.name


def _device(profile: Profile) -> str:
    device = profile.device
    return f"{device.type} {device.name}" if device.has_driver else device.kind


def _of_limits(profile: Profile) -> str:
    return format_share(of_bounds(phase_kernels(profile, "decode")), 0)


def _times(title: str, profiles: Sequence[Profile], times: Sequence[float | None]) -> _Row:
    first = None if profiles[0].place.emulated else times[0]
    cells = [
        _time(p, ms, first if i else None)
        for i, (p, ms) in enumerate(zip(profiles, times, strict=True))
    ]
    return _Row(title=title, cells=cells)


def _time(profile: Profile, ms: float | None, reference: float | None) -> str:
    """Write a time, with its ratio to a reference unless one of them is no device's."""
    if profile.place.emulated and ms is not None:
        return f"emulated {format_time(ms)}"
    if ms is None or not reference:
        return format_time(ms)
    return f"{format_time(ms)} ×{ms / reference:.2f}"


def _timings(profiles: Sequence[Profile], phase: PhaseName) -> Iterator[_Row]:
    """Two rows for each length or depth that was measured with all threads: time and rate."""
    tables = [_full_timings(profile, phase) for profile in profiles]
    for title in dict.fromkeys(title for table in tables for title in table):
        rows = [table.get(title) for table in tables]
        yield _times(title, profiles, [row.latency.p50_ms if row else None for row in rows])
        rates = [_rate(profile, row) for profile, row in zip(profiles, rows, strict=True)]
        yield _Row(title="  tok/s, noise", cells=rates)


def _full_timings(profile: Profile, phase: PhaseName) -> dict[str, Timing]:
    threads = profile.workload.threads
    return {row.title: row for row in timings(profile, phase) if row.threads == threads}


def _rate(profile: Profile, row: Timing | None) -> str:
    if row is None or profile.place.emulated:
        return MISSING
    return f"{significant(row.tokens_per_s)}, {format_noise(row.latency.noise)}"


def _top_operations(profiles: Sequence[Profile]) -> list[str]:
    """The operations that take the most of decode in any profile."""
    names = {row.operation for profile in profiles for row in phase_kernels(profile, "decode")}
    longest = {name: max(_operation_ms(p, name) or 0 for p in profiles) for name in sorted(names)}
    return sorted(longest, key=lambda name: -longest[name])[:TOP_OPERATIONS]


def _operation_ms(profile: Profile, operation: str) -> float | None:
    times = [row.ms for row in phase_kernels(profile, "decode") if row.operation == operation]
    return sum(times) if times else None
