"""What stands out in a profile: the sentences and sums that the table and the page share."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from ossc.runtimes.profile.latency import Latency
from ossc.runtimes.profile.profile import (
    BundleNote,
    Conditions,
    DeviceNote,
    ExpertUse,
    KernelTimes,
    LayerTimes,
    PhaseName,
    Profile,
)
from ossc.runtimes.profile.repeats import MAX_WAITED, same_bandwidth
from ossc.runtimes.profile.report.quantities import significant
from ossc.runtimes.sizes import format_bytes

PHASES: tuple[PhaseName, ...] = ("decode", "prefill")

EXCESS = 1.05
"""Speed over the limits from which on the limits are doubtful, and not only inexact."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One length of prompt or depth of decode, with what was predicted for it."""

    phase: PhaseName
    tokens: int
    """Of the prompt, or of the context in which decoding began."""
    threads: int
    latency: Latency
    tokens_per_s: float
    predicted_ms: float | None
    """None with fewer threads than the prediction is for, and where there is none."""
    conditions: Conditions | None

    @property
    def title(self) -> str:
        """Name it for a row of a table."""
        if self.phase == "decode":
            return f"decode at {self.tokens}"
        return f"prefill of {self.tokens}"

    @property
    def off(self) -> float | None:
        """The measured median over the prediction, minus one."""
        return None if not self.predicted_ms else self.latency.p50_ms / self.predicted_ms - 1


def timings(profile: Profile, phase: PhaseName) -> list[Timing]:
    """List what was measured of a phase beside its prediction."""
    full = profile.workload.threads
    if phase == "decode":
        decode_ms = profile.predicted.decode_ms if profile.predicted else {}
        return [
            Timing(
                phase="decode",
                tokens=row.depth,
                threads=row.threads,
                latency=row.latency,
                tokens_per_s=row.tokens_per_s,
                predicted_ms=decode_ms.get(row.depth) if row.threads == full else None,
                conditions=row.conditions,
            )
            for row in profile.decode
        ]
    rates = profile.predicted.prefill_tokens_per_s if profile.predicted else {}
    return [
        Timing(
            phase="prefill",
            tokens=row.tokens,
            threads=row.threads,
            latency=row.latency,
            tokens_per_s=row.tokens_per_s,
            predicted_ms=_ms(row.tokens, rates.get(row.tokens)) if row.threads == full else None,
            conditions=row.conditions,
        )
        for row in profile.prefill
    ]


def _ms(tokens: int, tokens_per_s: float | None) -> float | None:
    return 1000 * tokens / tokens_per_s if tokens_per_s else None


def unsteady(conditions: Conditions) -> str | None:
    """Say how the machine changed while something was measured; None where it did not."""
    if not conditions.left_out and conditions.steady:
        return None
    faults = []
    if conditions.most_waited > MAX_WAITED:
        faults.append(f"threads waited up to {conditions.most_waited:.0%} of their time for a CPU")
    lowest, highest = conditions.lowest_gb_per_s, conditions.highest_gb_per_s
    if lowest and highest and not same_bandwidth(lowest, highest):
        faults.append(f"reading went from {significant(lowest)} to {significant(highest)} GB/s")
    return " and ".join(faults)


def repeats_notes(profile: Profile) -> list[str]:
    """Say of which lengths and depths repeats were left out, and why."""
    rows = [row for phase in PHASES for row in timings(profile, phase)]
    return [note for row in rows if (note := _repeats_note(row))]


def _repeats_note(row: Timing) -> str | None:
    conditions = row.conditions
    fault = None if conditions is None else unsteady(conditions)
    if conditions is None or fault is None:
        return None
    if not conditions.steady:
        return f"{row.title}: {fault}, so that no repeat can be trusted"
    made = conditions.repeats + conditions.left_out
    return f"{row.title}: {conditions.left_out} of {made} repeats left out, {fault}"


def thread_scaling(profile: Profile, phase: PhaseName) -> list[Timing]:
    """List what was measured with other numbers of threads, the fewest threads first."""
    rows = timings(profile, phase)
    same = [row for row in rows if row.tokens == rows[0].tokens] if rows else []
    return sorted(same, key=lambda row: row.threads) if len(same) > 1 else []


def model_title(bundle: BundleNote) -> str:
    """Say what the bundle holds: ``gpt_oss, 24 layers, 4 of 32 experts a token``."""
    parts = [bundle.model_type or "of unknown type", f"{bundle.num_layers} layers"]
    if bundle.num_experts:
        parts.append(f"{bundle.num_experts_per_tok} of {bundle.num_experts} experts a token")
    parts += [f"preset {bundle.preset}", f"weights {format_bytes(bundle.weights_bytes)}"]
    return ", ".join(parts)


def machine_title(profile: Profile) -> str:
    """Describe the machine, leaving out what its system did not say."""
    machine = profile.machine
    cpus = f"{machine.cpus} CPU{'' if machine.cpus == 1 else 's'}"
    clock = f" at {significant(machine.mhz / 1000)} GHz" if machine.mhz else ""
    parts = [machine.cpu_model or "unknown CPU", cpus + clock]
    if machine.governor:
        parts.append(f"governor {machine.governor}")
    if machine.huge_pages:
        parts.append(f"huge pages {machine.huge_pages}")
    parts.append(f"load {machine.load_before:.2f}")
    return ", ".join(parts)


def device_title(device: DeviceNote) -> str:
    """Describe what ran the model, as its driver does."""
    parts = [f"{device.name} ({device.type})", f"{device.kind} by {device.platform}"]
    if device.driver:
        parts.append(f"driver {device.driver}")
    if device.memory_bytes:
        shared = " shared with the host" if device.shares_memory else ""
        parts.append(f"{format_bytes(device.memory_bytes)} of memory{shared}")
    return ", ".join(parts)


def worker_title(device: DeviceNote, thread: int) -> str:
    """Name what works in a lane of the timeline."""
    return "device" if device.has_driver else f"thread {thread}"


def int8_title(profile: Profile) -> str:
    """Say what the limit of int8 is of: behind a driver its kernels widen bytes."""
    return "int32 for int8" if profile.device.has_driver else "int8"


def limits_title(profile: Profile) -> str:
    """Name the device's limits, or why there are none."""
    roofline = profile.roofline
    if roofline is None:
        return f"not measured: {profile.limits.missing}"
    sizes = sorted(roofline.read_gb_per_s)
    near, far = (significant(roofline.read_gb_per_s[size]) for size in (sizes[0], sizes[-1]))
    busier = any((of_bounds(phase_kernels(profile, phase)) or 0) > EXCESS for phase in PHASES)
    return (
        f"memory {far} GB/s (nearest cache {near}), "
        f"f32 {significant(roofline.f32_gflops)} GFLOP/s, "
        f"{int8_title(profile)} {significant(roofline.int8_gops)} GOP/s, "
        f"launch {significant(roofline.launch_ns / 1000)} µs"
        + ("; probed when the machine was busier: it exceeds them" if busier else "")
    )


def phase_kernels(profile: Profile, phase: PhaseName) -> list[KernelTimes]:
    """List a phase's kernels, the longest first."""
    return [row for row in profile.kernels if row.phase == phase]


def of_bounds(kernels: Iterable[KernelTimes]) -> float | None:
    """Return the time of all kernels if each met its limit, over the time taken."""
    rows = [(row.ms, row.of_bound) for row in kernels if row.of_bound is not None]
    total = sum(ms for ms, _ in rows)
    return sum(ms * of_bound for ms, of_bound in rows) / total if total else None


def bound_shares(kernels: Iterable[KernelTimes]) -> dict[str, float]:
    """Return the share of the time that each limit holds back, the largest first."""
    shares: dict[str, float] = defaultdict(float)
    for row in kernels:
        if row.bound is not None:
            shares[row.bound] += row.share
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """The layers of one phase."""

    fastest: LayerTimes
    slowest: LayerTimes
    median_ms: float
    outside_ms: float
    """Of embedding and head."""
    outside_share: float

    @classmethod
    def of(cls, profile: Profile, phase: PhaseName) -> Self | None:
        """Summarize; None for a model without layers."""
        rows = [row for row in profile.layers if row.phase == phase]
        layers = sorted((row for row in rows if row.layer >= 0), key=lambda row: row.ms)
        if not layers:
            return None
        outside = [row for row in rows if row.layer < 0]
        return cls(
            fastest=layers[0],
            slowest=layers[-1],
            median_ms=(layers[(len(layers) - 1) // 2].ms + layers[len(layers) // 2].ms) / 2,
            outside_ms=sum(row.ms for row in outside),
            outside_share=sum(row.share for row in outside),
        )


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """An expert of a layer and its share of the layer's choices."""

    layer: int
    expert: int
    share: float

    def __str__(self) -> str:
        return f"layer {self.layer} expert {self.expert} ({significant(100 * self.share, 2)} %)"


@dataclass(frozen=True, kw_only=True)
class ExpertSummary:
    """How evenly the experts of all layers were used."""

    hottest: Chosen
    coldest: Chosen
    uniform: float
    """Share of each if all were used alike."""
    unused: int
    total: int
    mean_entropy: float
    lowest_entropy: float
    lowest_layer: int

    @classmethod
    def of(cls, experts: Sequence[ExpertUse]) -> Self | None:
        """Summarize; None where no expert was ever chosen."""
        choices = list(_choices(experts))
        if not choices:
            return None
        used = [choice for choice in choices if choice.share]
        lowest = min(experts, key=lambda use: use.entropy)
        return cls(
            hottest=max(used, key=lambda choice: choice.share),
            coldest=min(used, key=lambda choice: choice.share),
            uniform=1 / max(len(use.counts) for use in experts),
            unused=len(choices) - len(used),
            total=len(choices),
            mean_entropy=sum(use.entropy for use in experts) / len(experts),
            lowest_entropy=lowest.entropy,
            lowest_layer=lowest.layer,
        )


def _choices(experts: Sequence[ExpertUse]) -> Iterator[Chosen]:
    for use in experts:
        total = sum(use.counts)
        for expert, count in enumerate(use.counts if total else ()):
            yield Chosen(layer=use.layer, expert=expert, share=count / total)
