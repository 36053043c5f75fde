"""From a finished measurement to its profile."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import MANIFEST_NAME
from ossc.runtimes.profile.aggregation.executions import Bundled, TimedCall, coverage
from ossc.runtimes.profile.aggregation.experts import expert_use
from ossc.runtimes.profile.aggregation.phases import phase_times
from ossc.runtimes.profile.aggregation.timeline import timeline
from ossc.runtimes.profile.device.answers import Device, is_cpu_driver
from ossc.runtimes.profile.latency import Latency
from ossc.runtimes.profile.measurement import Measurement
from ossc.runtimes.profile.places import Place
from ossc.runtimes.profile.prediction.predict import Prediction, predict
from ossc.runtimes.profile.profile import (
    BundleNote,
    Conditions,
    DecodeTimes,
    DeviceNote,
    Instrumentation,
    LimitsNote,
    MachineNote,
    Memory,
    PlaceNote,
    Predicted,
    PrefillTimes,
    Profile,
    Workload,
)
from ossc.runtimes.profile.repeats import Series, waited
from ossc.runtimes.profile.roofline import Roofline
from ossc.targets.errors import TargetError, UnknownNameError


def make_profile(
    bundle: Bundle,
    place: Place,
    measured: Measurement,
    roofline: Roofline | None,
    limits: LimitsNote,
) -> Profile:
    """Sum up what a bundle's measurement gave; without a roofline, the limits say why."""
    workload = measured.workload
    bundled = Bundled(plan=bundle.plan, costs=bundle.manifest.kernels)
    prefill_series = measured.prefill[workload.prompt_tokens[0]]
    decode_series = measured.decode[workload.depths[0]]
    prefills, decodes = prefill_series.calls, decode_series.calls
    decode_limits = _limits(decode_series, roofline)
    decode = phase_times("decode", bundled, decodes, decode_limits)
    prefill = phase_times("prefill", bundled, prefills, _limits(prefill_series, roofline))
    return Profile(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle=_bundle_note(bundle),
        place=PlaceNote(name=place.name, emulated=place.emulated),
        machine=_machine_note(measured),
        device=device_note(measured.runner.hello.device),
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
        instrumentation=Instrumentation(
            overhead=_overhead(decode_series), coverage=coverage(decodes)
        ),
        roofline=decode_limits,
        limits=limits,
        predicted=_predicted(bundle, measured, roofline),
        kernels=(*decode.kernels, *prefill.kernels),
        layers=(*decode.layers, *prefill.layers),
        experts=expert_use(bundled, [*prefills, *decodes], decode.expert_ms),
        timeline=timeline(bundled, _median_call(decodes)),
    )


def _median_call(calls: list[TimedCall]) -> TimedCall:
    return sorted(calls, key=lambda call: call.seconds)[len(calls) // 2]


def _limits(series: Series, roofline: Roofline | None) -> Roofline | None:
    """Return the limits of the machine while a length or depth was measured."""
    return None if roofline is None else series.conditions().limits(roofline)


def _overhead(series: Series) -> float:
    """Return what timestamps cost: the median over the repeats, each of which has both."""
    pairs = [(np.median(one.timed_ms), np.median(one.plain_ms)) for one in series.used]
    return float(np.median([timed / plain for timed, plain in pairs]) - 1)


def _prefill_times(measured: Measurement) -> tuple[PrefillTimes, ...]:
    rows = _latencies(measured.prefill, measured.prefill_scaling_ms, measured.threads)
    return tuple(
        PrefillTimes(
            tokens=tokens,
            threads=threads,
            latency=latency,
            tokens_per_s=1e3 * tokens / latency.p50_ms,
            conditions=conditions,
        )
        for tokens, threads, latency, conditions in rows
    )


def _decode_times(measured: Measurement) -> tuple[DecodeTimes, ...]:
    rows = _latencies(measured.decode, measured.decode_scaling_ms, measured.threads)
    return tuple(
        DecodeTimes(
            depth=depth,
            threads=threads,
            latency=latency,
            tokens_per_s=1e3 / latency.p50_ms,
            conditions=conditions,
        )
        for depth, threads, latency, conditions in rows
    )


def _latencies(
    measured: Mapping[int, Series], scaling_ms: Mapping[int, Sequence[float]], threads: int
) -> Iterator[tuple[int, int, Latency, Conditions | None]]:
    """Each length or depth with all threads, then the first one with fewer."""
    for size, series in measured.items():
        yield size, threads, Latency.of(series.plain_ms), series.conditions()
    first = next(iter(measured))
    for fewer, samples_ms in scaling_ms.items():
        yield first, fewer, Latency.of(samples_ms), None


def _predicted(
    bundle: Bundle, measured: Measurement, roofline: Roofline | None
) -> Predicted | None:
    """Predict what was measured; None without limits, or where its kernels were never measured.

    Each length and depth is predicted with the bandwidth that was probed beside it.
    """
    if roofline is None:
        return None
    prefill_limits = {
        count: series.conditions().limits(roofline) for count, series in measured.prefill.items()
    }
    decode_limits = {
        depth: series.conditions().limits(roofline) for depth, series in measured.decode.items()
    }
    try:
        return Predicted(
            decode_ms={
                depth: _predict(bundle, limits, depth=depth).decode_ms
                for depth, limits in decode_limits.items()
            },
            prefill_tokens_per_s={
                count: _predict(bundle, limits, prompt_tokens=count).prefill_tokens_per_s
                for count, limits in prefill_limits.items()
            },
        )
    except (TargetError, UnknownNameError):
        return None


def _predict(
    bundle: Bundle, limits: Roofline, *, prompt_tokens: int = 1, depth: int = 0
) -> Prediction:
    return predict(
        bundle.plan,
        bundle.manifest,
        limits,
        prompt_tokens=prompt_tokens,
        depth=depth,
        threads=limits.threads,
    )


def _workload_note(bundle: Bundle, measured: Measurement) -> Workload:
    workload = measured.workload
    return Workload(
        prompt_tokens=workload.prompt_tokens,
        depths=workload.depths,
        new_tokens=workload.new_tokens,
        repeats=workload.repeats,
        threads=measured.threads,
        thread_scaling=tuple(measured.decode_scaling_ms),
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


def device_note(device: Device) -> DeviceNote:
    """Describe a device, with what has to be said of its figures."""
    return DeviceNote(
        kind=device.kind,
        platform=device.platform,
        name=device.name,
        driver=device.driver,
        type=device.type,
        memory_bytes=device.memory_bytes,
        shares_memory=device.shares_memory,
        note=_note_of(device),
    )


def _note_of(device: Device) -> str:
    if device.kind == "null":
        return "Nothing was computed: the times are those of the runtime around the kernels."
    if is_cpu_driver(device):
        return (
            f"{device.platform} is a driver of a CPU: every time here is that CPU's, and none is "
            "the latency of a GPU."
        )
    return ""


def _machine_note(measured: Measurement) -> MachineNote:
    machine = measured.machine
    series = (*measured.prefill.values(), *measured.decode.values())
    repeats = [one for each in series for one in each.made]
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
        waited=waited(repeats) if machine.ran_s else None,
    )
