"""From a finished measurement to its profile."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import numpy as np

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import MANIFEST_NAME
from ossc.runtimes.profile.aggregation.executions import Bundled, TimedCall, coverage
from ossc.runtimes.profile.aggregation.experts import expert_use
from ossc.runtimes.profile.aggregation.phases import phase_times
from ossc.runtimes.profile.aggregation.timeline import timeline
from ossc.runtimes.profile.device.answers import Machine
from ossc.runtimes.profile.latency import Latency
from ossc.runtimes.profile.measurement import Measurement, Samples
from ossc.runtimes.profile.places import Place
from ossc.runtimes.profile.prediction.report import predict_workload
from ossc.runtimes.profile.profile import (
    BundleNote,
    DecodeTimes,
    Instrumentation,
    MachineNote,
    Memory,
    PlaceNote,
    Predicted,
    PrefillTimes,
    Profile,
    Workload,
)
from ossc.runtimes.profile.roofline import Roofline
from ossc.targets.errors import TargetError, UnknownNameError


def make_profile(
    bundle: Bundle, place: Place, measured: Measurement, roofline: Roofline | None
) -> Profile:
    """Sum up what a bundle's measurement gave; a roofline of None says that it was emulated."""
    workload = measured.workload
    bundled = Bundled(plan=bundle.plan, costs=bundle.manifest.kernels)
    prefills = measured.prefill[workload.prompt_tokens[0]].calls
    decodes = measured.decode[workload.depths[0]].calls
    decode = phase_times("decode", bundled, decodes, roofline)
    prefill = phase_times("prefill", bundled, prefills, roofline)
    return Profile(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle=_bundle_note(bundle),
        place=PlaceNote(name=place.name, emulated=place.emulated),
        machine=_machine_note(measured),
        workload=_workload_note(bundle, measured),
        start=measured.start,
        prefill=_prefill_times(measured),
        decode=_decode_times(measured),
        memory=Memory(
            peak_rss_bytes=measured.memory.peak_rss_bytes,
            peak_anonymous_bytes=measured.memory.peak_anonymous_bytes,
            mapped_bytes=measured.memory.mapped_bytes,
            kv_bytes=bundle.manifest.memory.kv[bundle.kv].kv_bytes,
        ),
        instrumentation=_instrumentation(measured, decodes),
        roofline=roofline,
        predicted=_predicted(bundle, measured, roofline),
        kernels=(*decode.kernels, *prefill.kernels),
        layers=(*decode.layers, *prefill.layers),
        experts=expert_use(bundled, [*prefills, *decodes], decode.expert_ms),
        timeline=timeline(bundled, _median_call(decodes)),
    )


def _median_call(calls: list[TimedCall]) -> TimedCall:
    return sorted(calls, key=lambda call: call.seconds)[len(calls) // 2]


def _instrumentation(measured: Measurement, decodes: list[TimedCall]) -> Instrumentation:
    samples = measured.decode[measured.workload.depths[0]]
    shape = measured.workload.repeats, measured.workload.new_tokens
    plain, timed = (
        np.median(np.reshape(ms, shape), axis=1) for ms in (samples.plain_ms, samples.timed_ms)
    )
    return Instrumentation(overhead=float(np.median(timed / plain) - 1), coverage=coverage(decodes))


def _prefill_times(measured: Measurement) -> tuple[PrefillTimes, ...]:
    rows = _latencies(measured.prefill, measured.prefill_scaling, measured.threads)
    return tuple(
        PrefillTimes(
            tokens=tokens,
            threads=threads,
            latency=latency,
            tokens_per_s=1e3 * tokens / latency.p50_ms,
        )
        for tokens, threads, latency in rows
    )


def _decode_times(measured: Measurement) -> tuple[DecodeTimes, ...]:
    rows = _latencies(measured.decode, measured.decode_scaling, measured.threads)
    return tuple(
        DecodeTimes(
            depth=depth, threads=threads, latency=latency, tokens_per_s=1e3 / latency.p50_ms
        )
        for depth, threads, latency in rows
    )


def _latencies(
    measured: Mapping[int, Samples], scaling: Mapping[int, Samples], threads: int
) -> Iterator[tuple[int, int, Latency]]:
    """Each length or depth with all threads, then the first one with fewer."""
    for size, samples in measured.items():
        yield size, threads, Latency.of(samples.plain_ms)
    first = next(iter(measured))
    for fewer, samples in scaling.items():
        yield first, fewer, Latency.of(samples.plain_ms)


def _predicted(
    bundle: Bundle, measured: Measurement, roofline: Roofline | None
) -> Predicted | None:
    """Predict what was measured; None when emulated, or where its kernels were never measured."""
    if roofline is None:
        return None
    try:
        report = predict_workload(bundle, measured.workload, roofline)
    except (TargetError, UnknownNameError):
        return None
    return Predicted(
        decode_ms={one.depth: one.decode_ms for one in report.decodes},
        prefill_tokens_per_s={
            one.prompt_tokens: one.prefill_tokens_per_s for one in report.prefills
        },
    )


def _workload_note(bundle: Bundle, measured: Measurement) -> Workload:
    workload = measured.workload
    return Workload(
        prompt_tokens=workload.prompt_tokens,
        depths=workload.depths,
        new_tokens=workload.new_tokens,
        repeats=workload.repeats,
        threads=measured.threads,
        thread_scaling=tuple(measured.decode_scaling),
        weights=workload.weights,
        kv=bundle.kv,
        tokens="text" if workload.token_ids else "random",
    )


def _bundle_note(bundle: Bundle) -> BundleNote:
    manifest, steps = bundle.manifest, bundle.plan.segment("decode").steps
    digest = hashlib.sha256((bundle.path / MANIFEST_NAME).read_bytes()).hexdigest()
    return BundleNote(
        path=str(bundle.path),
        manifest_sha256=digest,
        ossc_version=manifest.ossc_version,
        target=manifest.target.name,
        preset=manifest.quantization.preset,
        model_type=str(manifest.model.get("model_type", "")),
        num_layers=len({step.layer for step in steps if step.layer >= 0}),
        num_experts=max((cost.experts for cost in manifest.kernels.values()), default=0),
        num_experts_per_tok=bundle.plan.num_experts_per_tok,
        context=manifest.context,
        weights_bytes=manifest.memory.weights_bytes,
    )


def _machine_note(measured: Measurement) -> MachineNote:
    machine = measured.machine
    return MachineNote(
        cpu_model=machine.cpu_model,
        cpus=machine.cpus,
        cpu_features=tuple(machine.cpu_features.split()),
        governor=machine.governor,
        mhz=machine.mhz,
        huge_pages=machine.huge_pages,
        kernel=machine.kernel,
        memory_bytes=machine.memory_bytes,
        available_bytes=machine.available_bytes,
        load_before=machine.load_average,
        load_after=measured.machine_after.load_average,
        waited=_waited(machine, measured.machine_after),
    )


def _waited(before: Machine, after: Machine) -> float | None:
    """The share of waiting for a CPU in what threads ran and waited between two moments."""
    ran_s, waited_s = after.ran_s - before.ran_s, after.waited_s - before.waited_s
    return waited_s / (ran_s + waited_s) if ran_s > 0 else None
