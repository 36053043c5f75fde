"""One token as a trace that ui.perfetto.dev and chrome://tracing open.

Format: Trace Event Format (Google, 2016), JSON object form. Times are µs since the token began.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from ossc.runtimes.profile.profile import KernelTimes, Profile, StepSpan
from ossc.runtimes.profile.report.findings import device_title, worker_title

Event = dict[str, Any]

PROCESS = 1
"""The bundle; the trace has no other process."""

STEPS = 0
"""The lane of layers and steps; thread ``n`` of the pool has lane ``n + 1``."""


def to_trace(profile: Profile) -> str:
    """Write the timeline of a profile: a lane of layers and steps, and one for each thread."""
    notes = {
        "bundle": profile.bundle.path,
        "target": profile.bundle.target,
        "place": profile.place.name,
        "emulated": profile.place.emulated,
        "cpu": profile.machine.cpu_model,
        "device": device_title(profile.device),
        "note": profile.device.note,
        "measured_at": profile.measured_at,
        "ossc_version": profile.bundle.ossc_version,
    }
    trace = {
        "displayTimeUnit": "ms",
        "otherData": notes,
        "traceEvents": list(_events(profile)),
    }
    return json.dumps(trace, allow_nan=False) + "\n"


def _events(profile: Profile) -> Iterator[Event]:
    yield from _names(profile)
    kernels = {row.kernel: row for row in profile.kernels if row.phase == "decode"}
    yield from _layers(profile)
    for span in profile.timeline:
        arguments = _arguments(span, kernels)
        yield _slice(STEPS, span.label, "step", span.begin_us, span.us, arguments)
        for thread, (begin_us, us) in enumerate(span.threads):
            if us > 0:
                yield _slice(thread + 1, span.label, "thread", begin_us, us, arguments)
        yield from _rate(span, kernels)


def _names(profile: Profile) -> Iterator[Event]:
    """Metadata: what processes and lanes are called, and their order."""
    place = "EMULATED" if profile.place.emulated else _device(profile)
    yield _metadata("process_name", 0, {"name": f"{profile.bundle.path} ({place})"})
    threads = max((len(span.threads) for span in profile.timeline), default=0)
    for lane in range(threads + 1):
        name = "layers and steps" if lane == STEPS else worker_title(profile.device, lane - 1)
        yield _metadata("thread_name", lane, {"name": name})
        yield _metadata("thread_sort_index", lane, {"sort_index": lane})


def _device(profile: Profile) -> str:
    """Name the target, and behind a driver the device, which may be a CPU."""
    device = profile.device
    if not device.has_driver:
        return profile.bundle.target
    return f"{profile.bundle.target}, {device.type} {device.name}"


def _metadata(name: str, lane: int, arguments: Event) -> Event:
    return {"ph": "M", "name": name, "pid": PROCESS, "tid": lane, "args": arguments}


def _layers(profile: Profile) -> Iterator[Event]:
    """One slice over the steps of each layer; steps of none have none."""
    for layer, group in groupby(profile.timeline, key=lambda span: span.layer):
        spans = list(group)
        if layer >= 0:
            begin_us, last = spans[0].begin_us, spans[-1]
            us = last.begin_us + last.us - begin_us
            yield _slice(STEPS, f"layer {layer}", "layer", begin_us, us, {})


def _slice(
    lane: int, name: str, category: str, begin_us: float, us: float, arguments: Event
) -> Event:
    """Make a complete event; both ends are rounded to ns, so that neighbours never overlap."""
    begin, end = round(begin_us, 3), round(begin_us + us, 3)
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "pid": PROCESS,
        "tid": lane,
        "ts": begin,
        "dur": round(end - begin, 3),
        "args": arguments,
    }


def _arguments(span: StepSpan, kernels: Mapping[str, KernelTimes]) -> Event:
    """What a click on a slice shows; bytes and operations are of a mean call of the kernel."""
    known: Event = {"kernel": span.kernel, "layer": span.layer}
    row = kernels.get(span.kernel)
    if row is None:
        return known
    if row.bound is not None:
        known |= {"bound": row.bound, "of_bound": row.of_bound}
    return known | {
        "operation": row.operation,
        "scheme": row.scheme,
        "bytes": round(row.bytes / row.calls) if row.calls else 0,
        "operations": round(row.operations / row.calls) if row.calls else 0,
    }


def _rate(span: StepSpan, kernels: Mapping[str, KernelTimes]) -> Iterator[Event]:
    """A counter of the bytes that a step moves a second."""
    row = kernels.get(span.kernel)
    if row is not None and row.calls and span.us > 0:
        rate = row.bytes / row.calls / span.us / 1000
        yield {
            "ph": "C",
            "name": "GB/s",
            "pid": PROCESS,
            "tid": STEPS,
            "ts": round(span.begin_us, 3),
            "args": {"GB/s": round(rate, 2)},
        }
