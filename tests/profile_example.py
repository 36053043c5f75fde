"""A profile as one of gpt-oss-20b on two CPUs would be; nothing of it was measured.

Every time follows from a table of steps with their bytes, operations and efficiency, so that the
parts of a profile agree with each other: kernels, layers, timeline, latencies.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ossc.runtimes.profile.latency import Latency
from ossc.runtimes.profile.profile import (
    BundleNote,
    Conditions,
    DecodeTimes,
    DeviceNote,
    ExpertUse,
    Instrumentation,
    KernelTimes,
    LayerTimes,
    LimitsNote,
    MachineNote,
    Memory,
    PhaseName,
    PlaceNote,
    Predicted,
    PrefillTimes,
    Profile,
    Start,
    StepSpan,
    Workload,
)
from ossc.runtimes.profile.roofline import Roofline
from profile_steps import (
    EXPERTS,
    F32_GOPS,
    INT8_GOPS,
    LAUNCH_NS,
    LAYERS,
    READ_GB_PER_S,
    THREADS,
    TOP_K,
    Step,
    call_steps,
)

DEPTH, PROMPT, CHUNK, TOKENS = 1024, 512, 128, 160

ROOFLINE = Roofline(
    source="measured",
    isa="avx2",
    threads=THREADS,
    read_gb_per_s=READ_GB_PER_S,
    f32_gflops=F32_GOPS,
    int8_gops=INT8_GOPS,
    launch_ns=LAUNCH_NS,
)

CONDITIONS = Conditions(
    working_set_bytes=max(READ_GB_PER_S),
    read_gb_per_s=READ_GB_PER_S[max(READ_GB_PER_S)],
    lowest_gb_per_s=30.9,
    highest_gb_per_s=31.8,
    waited=0.002,
    most_waited=0.011,
    repeats=5,
    left_out=0,
    steady=True,
)
"""Of a machine that stayed as it was."""

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"
"""What a bundle could be called by somebody who wants to run a script."""


def example_profile(
    *, slowed: Mapping[str, float] | None = None, seed: int = 0, **changes: Any
) -> Profile:
    """A complete profile.

    Args:
        slowed: Factors by operation, such as ``{"linear": 1.1}``, for the time of its kernels.
        seed: Of the noise and of the routing.
        changes: Fields to replace.
    """
    rng, noise = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    token = list(call_steps(1, DEPTH, head=True, slowed=slowed or {}))
    prompt = [
        step
        for first in range(0, PROMPT, CHUNK)
        for step in call_steps(CHUNK, first, head=first + CHUNK == PROMPT, slowed=slowed or {})
    ]
    token_ms, prompt_ms = (sum(step.us for step in steps) / 1000 for steps in (token, prompt))
    experts_ms = sum(s.us for s in token if s.operation.startswith("expert")) / 1000 * TOKENS
    profile = Profile(
        measured_at="2026-11-22T21:04:11Z",
        bundle=_BUNDLE,
        place=PlaceNote(name="local", emulated=False),
        machine=_MACHINE,
        device=_DEVICE,
        workload=_WORKLOAD,
        start=Start(
            process_ms=61.0,
            load_ms=43.0,
            prompt_tokens=PROMPT,
            prompt_ms=prompt_ms * 1.21,
            first_token_ms=61.0 + prompt_ms * 1.21,
        ),
        prefill=tuple(
            _prefill(rng, tokens, threads, prompt_ms * factor)
            for tokens, threads, factor in [(512, 2, 1), (128, 2, 0.26), (512, 1, 1.94)]
        ),
        decode=tuple(
            _decode(rng, depth, threads, token_ms * factor)
            for depth, threads, factor in [(DEPTH, 2, 1), (0, 2, 0.97), (DEPTH, 1, 1.52)]
        ),
        memory=Memory(
            peak_rss_bytes=12_120_000_000,
            peak_anonymous_bytes=238_000_000,
            mapped_bytes=11_870_000_000,
            kv_bytes=210_000_000,
        ),
        instrumentation=Instrumentation(overhead=0.006, coverage=0.991),
        roofline=ROOFLINE,
        limits=LimitsNote(missing="", memory="m", f32="f", int8="i", launch="l"),
        predicted=Predicted(
            decode_ms={DEPTH: token_ms * 0.95, 0: token_ms * 0.93},
            prefill_tokens_per_s={512: 512 / prompt_ms * 1080, 128: 128 / prompt_ms * 4300},
        ),
        kernels=(*_kernels(noise, "decode", token), *_kernels(noise, "prefill", prompt)),
        layers=(*_layers("decode", token), *_layers("prefill", prompt)),
        experts=tuple(_experts(rng, layer, experts_ms / LAYERS) for layer in range(LAYERS)),
        timeline=tuple(_timeline(rng, token)),
    )
    return replace(profile, **changes)


def with_conditions(profile: Profile, **changes: Any) -> Profile:
    """The same times, measured on a machine that gave something else meanwhile."""
    rows: dict[str, Any] = {
        phase: tuple(
            replace(row, conditions=row.conditions and replace(row.conditions, **changes))
            for row in getattr(profile, phase)
        )
        for phase in ("prefill", "decode")
    }
    return replace(profile, **rows)


def emulated_profile(**changes: Any) -> Profile:
    """A profile without the limits of a machine, because none of its times is a machine's."""
    profile = with_conditions(
        example_profile(),
        working_set_bytes=0,
        read_gb_per_s=None,
        lowest_gb_per_s=None,
        highest_gb_per_s=None,
    )
    return replace(
        profile,
        place=PlaceNote(name="qemu:aarch64", emulated=True),
        bundle=replace(profile.bundle, target="cpu:aarch64"),
        roofline=None,
        limits=LimitsNote(missing="the times are an emulator's"),
        predicted=None,
        kernels=tuple(replace(row, bound=None, of_bound=None) for row in profile.kernels),
        **changes,
    )


def driver_profile(*, kind_of_device: str = "cpu", limits: bool = True, **device: Any) -> Profile:
    """A profile of a device behind a driver, which is a CPU's unless another type is asked for.

    Args:
        kind_of_device: Its type.
        limits: Whether they were measured.
        device: Fields of its note to replace.
    """
    profile = example_profile()
    note = "PoCL is a driver of a CPU." if kind_of_device == "cpu" else ""
    described = replace(
        _DEVICE,
        kind="opencl",
        platform="PoCL",
        name="pthread",
        driver="3.1",
        type=kind_of_device,
        note=note,
    )
    profile = replace(profile, device=replace(described, **device), predicted=None)
    if limits:
        return profile
    return replace(
        profile,
        roofline=None,
        limits=LimitsNote(missing="no probes for cuda"),
        kernels=tuple(replace(row, bound=None, of_bound=None) for row in profile.kernels),
    )


def evil_profile() -> Profile:
    """A profile whose every text is an attack."""
    profile = example_profile()
    return replace(
        profile,
        measured_at=EVIL,
        bundle=replace(
            profile.bundle, path=EVIL, target=EVIL, preset=EVIL, model_type=EVIL,
            ossc_version=EVIL, manifest_sha256=EVIL,
        ),
        place=replace(profile.place, name=EVIL),
        device=replace(
            profile.device, kind=EVIL, platform=EVIL, name=EVIL, driver=EVIL, type=EVIL, note=EVIL
        ),
        limits=LimitsNote(missing=EVIL, memory=EVIL, f32=EVIL, int8=EVIL, launch=EVIL),
        machine=replace(
            profile.machine, cpu_model=EVIL, cpu_features=(EVIL,), governor=EVIL, kernel=EVIL,
            huge_pages=EVIL,
        ),
        workload=replace(profile.workload, weights=EVIL, kv=EVIL, tokens=EVIL),
        kernels=tuple(
            replace(row, kernel=EVIL + row.kernel, operation=EVIL) for row in profile.kernels
        ),
        timeline=tuple(
            replace(span, label=EVIL, kernel=EVIL + span.kernel) for span in profile.timeline
        ),
    )  # fmt: skip


_BUNDLE = BundleNote(
    path="gpt-oss-20b.x86-64-v3",
    manifest_sha256="3f" * 32,
    ossc_version="0.2.0",
    target="cpu:x86-64-v3",
    preset="default",
    model_type="gpt_oss",
    num_layers=LAYERS,
    num_experts=EXPERTS,
    num_experts_per_tok=TOP_K,
    context=4096,
    weights_bytes=11_990_000_000,
)

_MACHINE = MachineNote(
    cpu_model="AMD EPYC 9R14",
    cpus=2,
    cpu_features=("avx", "avx2", "f16c", "fma", "avx512f", "avx512_vnni"),
    governor="performance",
    mhz=3696.0,
    huge_pages="madvise",
    kernel="6.1.0-31-amd64",
    memory_bytes=25_000_000_000,
    available_bytes=17_400_000_000,
    load_before=0.12,
    load_after=1.71,
    waited=0.003,
)

_DEVICE = DeviceNote(
    kind="cpu",
    platform="Linux",
    name="the CPU of this machine",
    driver="",
    type="cpu",
    memory_bytes=25_000_000_000,
    shares_memory=True,
    note="",
)

_WORKLOAD = Workload(
    prompt_tokens=(PROMPT, 128),
    depths=(DEPTH, 0),
    new_tokens=32,
    repeats=5,
    threads=THREADS,
    thread_scaling=(1, 2),
    weights="mapped",
    kv="f32",
    tokens="random",
)


def _prefill(rng: np.random.Generator, tokens: int, threads: int, ms: float) -> PrefillTimes:
    latency = _latency(rng, ms, 5)
    return PrefillTimes(
        tokens=tokens,
        threads=threads,
        latency=latency,
        tokens_per_s=tokens / latency.p50_ms * 1000,
        conditions=CONDITIONS if threads == THREADS else None,
    )


def _decode(rng: np.random.Generator, depth: int, threads: int, ms: float) -> DecodeTimes:
    latency = _latency(rng, ms, TOKENS)
    return DecodeTimes(
        depth=depth,
        threads=threads,
        latency=latency,
        tokens_per_s=1000 / latency.p50_ms,
        conditions=CONDITIONS if threads == THREADS else None,
    )


def _latency(rng: np.random.Generator, ms: float, count: int) -> Latency:
    """Times around ``ms``, with the tail on one side that times have."""
    factors = rng.gamma(2.0, 0.008, count)
    return Latency.of((ms * (1 + factors - np.median(factors))).tolist())


def _kernels(
    rng: np.random.Generator, phase: PhaseName, steps: Sequence[Step]
) -> list[KernelTimes]:
    groups: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        groups[step.kernel].append(step)
    total = sum(step.us for step in steps)
    return sorted(
        (_kernel(rng, phase, group, total) for group in groups.values()), key=lambda row: -row.ms
    )


def _kernel(
    rng: np.random.Generator, phase: PhaseName, steps: list[Step], total_us: float
) -> KernelTimes:
    us = sum(step.us for step in steps)
    size = sum(step.bytes for step in steps)
    operations = sum(step.operations for step in steps)
    return KernelTimes(
        phase=phase,
        kernel=steps[0].kernel,
        operation=steps[0].operation,
        scheme=steps[0].scheme,
        calls=len(steps),
        ms=us / 1000,
        share=us / total_us,
        bytes=size,
        operations=operations,
        gb_per_s=size / us / 1000,
        gop_per_s=operations / us / 1000,
        bound=steps[0].bound,
        of_bound=sum(step.bound_us for step in steps) / us,
        waiting=0.03 if steps[0].scheme else 0.31,
        samples_ms=_latency(rng, us / 1000, TOKENS if phase == "decode" else 5).samples_ms,
    )


def _layers(phase: PhaseName, steps: Sequence[Step]) -> list[LayerTimes]:
    total = sum(step.us for step in steps)
    rows = []
    for layer in range(-1, LAYERS):
        own = [step for step in steps if step.layer == layer]
        us = sum(step.us for step in own)
        size = sum(step.bytes for step in own)
        rows.append(
            LayerTimes(phase=phase, layer=layer, ms=us / 1000, share=us / total, bytes=size)
        )
    return rows


def _experts(rng: np.random.Generator, layer: int, ms: float) -> ExpertUse:
    """A routing whose imbalance differs by layer; one expert of layer 7 is never used."""
    weights = rng.gamma(1.2 + layer % 5, 1.0, EXPERTS)
    weights[11] *= layer != 7
    counts = rng.multinomial(TOP_K * (PROMPT + TOKENS), weights / weights.sum())
    shares = counts[counts > 0] / counts.sum()
    return ExpertUse(
        layer=layer,
        counts=tuple(counts.tolist()),
        ms=tuple((counts / counts.sum() * ms).tolist()),
        expert_bytes=13_219_200,
        entropy=float(-(shares * np.log(shares)).sum() / np.log(EXPERTS)),
    )


def _timeline(rng: np.random.Generator, steps: Sequence[Step]) -> Iterator[StepSpan]:
    begin = 0.0
    for step in steps:
        ends = np.sort(rng.uniform(0.9, 0.995, THREADS))[::-1] * step.us
        if step.us < 10:
            ends[1:] = 0  # a small step is the first thread's alone
        yield StepSpan(
            label=step.label,
            kernel=step.kernel,
            layer=step.layer,
            begin_us=begin,
            us=step.us,
            threads=tuple(
                (begin + 0.2 + 0.1 * thread, float(end)) if end else (0.0, 0.0)
                for thread, end in enumerate(ends)
            ),
        )
        begin += step.us
