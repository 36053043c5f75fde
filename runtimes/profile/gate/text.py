"""A comparison in the terminal: what changed, and one line that says what follows."""

import textwrap
from collections.abc import Iterator

from ossc.runtimes.profile.gate.result import Change, Comparison, Unmatched
from ossc.runtimes.profile.report.quantities import (
    MISSING,
    format_change,
    format_share,
    format_time,
    shorten,
    significant,
)

WIDTH = 100
"""Columns of the terminal."""

NAME_WIDTH = 34
MAX_SMALL_KERNELS = 4
"""Kernels of a phase that are too small to be judged and are listed."""


def to_text(comparison: Comparison) -> str:
    """Write a comparison for a terminal of `WIDTH` columns."""
    return "\n".join(line.rstrip() for line in _lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"{shorten(comparison.current, 80)}"
    yield f"against {shorten(comparison.baseline, 80)}, {_method(comparison)}"
    phases = list(dict.fromkeys(change.phase for change in comparison.changes))
    for phase in phases:
        yield ""
        yield from _phase([change for change in comparison.changes if change.phase == phase])
    if comparison.unmatched:
        yield ""
        yield from map(_unmatched, comparison.unmatched)
    yield ""
    yield from textwrap.wrap(verdict_line(comparison), WIDTH)


def _method(comparison: Comparison) -> str:
    if comparison.method == "interleaved":
        return f"{comparison.rounds} rounds of both in turn"
    return "its times scaled by the limits of both machines"


def _phase(changes: list[Change]) -> Iterator[str]:
    total, kernels = changes[0], changes[1:]
    judged = [change for change in kernels if change.judged]
    small = [change for change in kernels if not change.judged]
    columns = f"{'share':>6} {'before':>8} {'now':>8} {'change':>8}  interval"
    yield f"{total.phase:{NAME_WIDTH}} {columns}"
    yield _row("  all kernels", format_share(1.0, 0), total)
    for change in [*judged, *small[:MAX_SMALL_KERNELS]]:
        name = f"  {shorten(change.kernel or MISSING, NAME_WIDTH - 2)}"
        yield _row(name, format_share(change.share, 0), change)
    if len(small) > MAX_SMALL_KERNELS:
        yield f"  {len(small) - MAX_SMALL_KERNELS} more small kernels in --format json"


def _row(name: str, share: str, change: Change) -> str:
    before = format_time(change.baseline_ms * change.scale)
    now, ratio = format_time(change.current_ms), format_change(change.ratio - 1)
    verdict = change.verdict if change.judged else "small"
    return (
        f"{name:{NAME_WIDTH}} {share:>6} {before:>8} {now:>8} {ratio:>8}  "
        f"{_interval(change):18} {verdict}"
    )


def _interval(change: Change) -> str:
    if not change.low or change.high is None:
        return MISSING
    return f"{format_change(change.low - 1)} to {format_change(change.high - 1)}"


def _unmatched(rest: Unmatched) -> str:
    where = "is new" if rest.side == "current" else "was there before"
    name = shorten(rest.kernel, NAME_WIDTH)
    return f"{rest.phase}: {name} {where}, {format_time(rest.ms)}"


def verdict_line(comparison: Comparison) -> str:
    """Say in one sentence whether there is a regression."""
    threshold = f"{significant(100 * comparison.threshold, 2)} %"
    judged = [change for change in comparison.changes if change.judged]
    if comparison.regressed:
        worst = max((c for c in judged if c.verdict == "regression"), key=lambda c: c.ratio)
        kernel = f": {shorten(worst.kernel, NAME_WIDTH)}" if worst.kernel else ""
        return (
            f"REGRESSION beyond {threshold}: {worst.phase}{kernel} "
            f"{format_change(worst.ratio - 1)} ({_interval(worst)})."
        )
    noisy = [change for change in judged if change.verdict == "too noisy"]
    if noisy:
        return (
            f"No regression, but {len(noisy)} of {len(judged)} times are too noisy to exclude one "
            f"beyond {threshold}: keep other work off."
        )
    if comparison.verdict == "improvement":
        return f"No regression beyond {threshold}, and something became faster."
    return f"No change beyond {threshold}."
