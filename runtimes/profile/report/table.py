"""A profile in the terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from ossc.runtimes.profile.profile import KernelTimes, LayerTimes, PhaseName, Profile
from ossc.runtimes.profile.report.findings import (
    ExpertSummary,
    LayerSummary,
    Timing,
    device_title,
    limits_title,
    machine_title,
    model_title,
    of_bounds,
    phase_kernels,
    repeats_notes,
    timings,
)
from ossc.runtimes.profile.report.quantities import (
    MISSING,
    format_change,
    format_noise,
    format_share,
    format_time,
    shorten,
    significant,
)
from ossc.runtimes.sizes import format_bytes

WIDTH = 100
"""Columns of the terminal that a table is made for."""

TOP_KERNELS: dict[PhaseName, int] = {"decode": 8, "prefill": 5}
MAX_TIMINGS = 12
"""Rows of prefill and decode together; the JSON has all."""

TITLE_WIDTH = 13
TIMING_WIDTH = 26
KERNEL_WIDTH = 43


def to_table(profile: Profile) -> str:
    """Write a profile for a terminal of `WIDTH` columns, in about 45 lines."""
    return "\n".join(line.rstrip() for line in _lines(profile)) + "\n"


def _lines(profile: Profile) -> Iterator[str]:
    yield from _head(profile)
    yield ""
    yield from _timing_rows(profile)
    for phase in ("decode", "prefill"):
        kernels = phase_kernels(profile, phase)
        if kernels:
            yield ""
            yield from _kernel_rows(profile, phase, kernels)
    yield ""
    yield from _summary(profile)


def _head(profile: Profile) -> Iterator[str]:
    if profile.place.emulated:
        place = shorten(profile.place.name, 40)
        yield f"EMULATED on {place}: no time below is the latency of any device."
    if profile.device.note:
        yield from textwrap.wrap(shorten(profile.device.note, 2 * WIDTH), WIDTH)
    yield from _row(profile.bundle.path, model_title(profile.bundle))
    workload = profile.workload
    threads = f"{workload.threads} thread{'' if workload.threads == 1 else 's'}"
    yield from _row(
        "ran",
        f"{profile.bundle.target}, {threads}, weights {workload.weights}, KV cache {workload.kv}, "
        f"{workload.tokens} tokens, {workload.repeats} × {workload.new_tokens} decoded",
    )
    yield from _row(profile.place.name, machine_title(profile))
    if profile.device.has_driver:
        yield from _row("device", device_title(profile.device))
    if not profile.place.emulated:
        yield from _row("limits", limits_title(profile))
    start, memory = profile.start, profile.memory
    yield from _row(
        _titled(profile, "start"),
        f"opened in {format_time(start.process_ms)} (load {format_time(start.load_ms)}), first "
        f"prompt of {start.prompt_tokens} in {format_time(start.prompt_ms)}, first token after "
        f"{format_time(start.first_token_ms)}",
    )
    yield from _row(
        "memory",
        f"peak {format_bytes(memory.peak_rss_bytes)}, anonymous "
        f"{format_bytes(memory.peak_anonymous_bytes)}, mapped {format_bytes(memory.mapped_bytes)}, "
        f"KV cache {format_bytes(memory.kv_bytes)} when full",
    )


def _titled(profile: Profile, title: str) -> str:
    """Mark a title above or beside times that are no device's."""
    return f"emulated {title}" if profile.place.emulated else title


def _row(title: str, text: str) -> Iterator[str]:
    """Write a title and a text beside it, on more lines where one is too short."""
    title = shorten(title, WIDTH // 2)
    first = f"{title:{TITLE_WIDTH}} {shorten(text, 4 * WIDTH)}"
    yield from textwrap.wrap(first, WIDTH, subsequent_indent=" " * (TITLE_WIDTH + 1))


def _timing_rows(profile: Profile) -> Iterator[str]:
    yield (
        f"{'':{TIMING_WIDTH}} {'threads':>7} {'p50':>8} {'p90':>8} {'p99':>8} {'noise':>7} "
        f"{'tok/s':>6} {'predicted':>9} {'off by':>8}"
    )
    rows = [*timings(profile, "prefill"), *timings(profile, "decode")]
    for row in rows[:MAX_TIMINGS]:
        rate = MISSING if profile.place.emulated else significant(row.tokens_per_s)
        yield _timing_row(_titled(profile, row.title), row, rate)
    if len(rows) > MAX_TIMINGS:
        yield f"{len(rows) - MAX_TIMINGS} more in --format json"


def _timing_row(title: str, row: Timing, rate: str) -> str:
    latency = row.latency
    times = (latency.p50_ms, latency.p90_ms, latency.p99_ms)
    p50, p90, p99 = (format_time(ms, 4) for ms in times)
    noise = format_noise(latency.noise) if len(latency.samples_ms) > 1 else MISSING
    return (
        f"{title:{TIMING_WIDTH}} {row.threads:7} {p50:>8} {p90:>8} {p99:>8} {noise:>7} "
        f"{rate:>6} {format_time(row.predicted_ms, 4):>9} "
        f"{format_change(row.off):>8}"
    )


def _kernel_rows(
    profile: Profile, phase: PhaseName, kernels: Sequence[KernelTimes]
) -> Iterator[str]:
    of_limits = of_bounds(kernels)
    title = phase if of_limits is None else f"{phase}, {format_share(of_limits, 0)} of its limits"
    title = _titled(profile, title)
    yield (
        f"{title:{KERNEL_WIDTH}} {'calls':>5} {'ms':>7} {'share':>6} {'GB/s':>5} {'GOP/s':>5} "
        f"{'bound':>11} {'waits':>5}"
    )
    top = TOP_KERNELS[phase]
    if len(kernels) == top + 1:  # its line would be no shorter than that of the rest
        top += 1
    for row in kernels[:top]:
        of_bound = "" if row.of_bound is None else f" {100 * row.of_bound:3.0f}%"
        yield (
            f"{shorten(row.kernel, KERNEL_WIDTH):{KERNEL_WIDTH}} {row.calls:5} "
            f"{significant(row.ms):>7} {100 * row.share:5.1f}% {significant(row.gb_per_s):>5} "
            f"{significant(row.gop_per_s):>5} {(row.bound or MISSING) + of_bound:>11} "
            f"{100 * row.waiting:4.0f}%"
        )
    rest = kernels[top:]
    if rest:
        share = 100 * sum(row.share for row in rest)
        yield (
            f"{f'{len(rest)} more':{KERNEL_WIDTH}} {sum(row.calls for row in rest):5} "
            f"{significant(sum(row.ms for row in rest)):>7} {share:5.1f}%"
        )


def _summary(profile: Profile) -> Iterator[str]:
    layers = LayerSummary.of(profile, "decode")
    if layers:
        yield from _row(
            _titled(profile, "layers"),
            f"decode {format_time(layers.median_ms)} each; fastest {_layer(layers.fastest)}, "
            f"slowest {_layer(layers.slowest)}; embedding and head "
            f"{format_time(layers.outside_ms)} ({format_share(layers.outside_share)})",
        )
    experts = ExpertSummary.of(profile.experts)
    if experts:
        yield from _row(
            "experts",
            f"hottest {experts.hottest}, coldest {experts.coldest}, even use would be "
            f"{format_share(experts.uniform)} each; {experts.unused} of {experts.total} never "
            f"chosen; entropy {experts.mean_entropy:.2f} of even use, lowest "
            f"{experts.lowest_entropy:.2f} in layer {experts.lowest_layer}",
        )
    instrumentation = profile.instrumentation
    yield from _row(
        "timestamps",
        f"cost {format_change(instrumentation.overhead)}; steps add up to "
        f"{format_share(instrumentation.coverage)} of the wall time",
    )
    yield from _row("other work", _other_work(profile))


def _other_work(profile: Profile) -> str:
    waited = profile.machine.waited
    parts = [f"load of the machine {profile.machine.load_after:.2f} after measuring"]
    if waited is not None:
        parts.append(f"{format_share(waited)} of the time waiting for a CPU")
    return "; ".join([*parts, *repeats_notes(profile)])


def _layer(row: LayerTimes) -> str:
    return f"{row.layer} ({format_time(row.ms)})"
