"""What ``ossc profile`` found out about a bundle: the one definition of its JSON.

``docs/profile.md`` explains the fields; the JSON Schema beside it is generated from these types.
Times are in the unit that a name ends with; ``share`` and ``spread`` are fractions of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ossc.runtimes.profile.latency import Latency
from ossc.runtimes.profile.roofline import Roofline

SCHEMA_VERSION = 3
"""Version of the JSON; a reader reads exactly one."""

PhaseName = Literal["decode", "prefill"]
BoundName = Literal["memory", "f32", "int8", "launch"]


@dataclass(frozen=True, kw_only=True)
class BundleNote:
    """The bundle that was measured."""

    path: str
    manifest_sha256: str
    """Identifies the bundle's content."""
    ossc_version: str
    target: str
    preset: str
    model_type: str
    num_layers: int
    num_experts: int
    num_experts_per_tok: int
    context: int
    weights_bytes: int


@dataclass(frozen=True, kw_only=True)
class PlaceNote:
    """Where it ran."""

    name: str
    """``local``, ``ssh://host`` or ``qemu:<arch>``."""
    emulated: bool
    """Then times say nothing about any device."""


@dataclass(frozen=True, kw_only=True)
class MachineNote:
    """The machine, as its system describes it; empty or zero where it does not say."""

    cpu_model: str
    cpus: int
    cpu_features: tuple[str, ...]
    governor: str
    mhz: float
    """Clock of the first CPU when asked."""
    huge_pages: str
    """Setting of transparent huge pages: always, madvise or never."""
    kernel: str
    memory_bytes: int
    available_bytes: int
    load_before: float
    """Average number of running processes in the last minute, before measuring."""
    load_after: float
    waited: float | None = None
    """Share of the threads' time in calls in which they could have run and had no CPU, because
    others had them all: direct evidence of other work. None where the system does not say."""


@dataclass(frozen=True, kw_only=True)
class DeviceNote:
    """What ran the model, as its driver describes it."""

    kind: str
    """``cpu``, or what is between the runtime and the device: ``opencl``, ``cuda``."""
    platform: str
    name: str
    driver: str
    """Version of the driver; empty without one."""
    type: str
    """gpu, accelerator, cpu or other."""
    memory_bytes: int
    shares_memory: bool
    """With the host."""
    note: str
    """What has to be said beside every figure, such as that it is a CPU's; may be empty."""

    @property
    def has_driver(self) -> bool:
        """Whether it is another device than the CPUs that the runtime itself runs on."""
        return self.kind != "cpu"


@dataclass(frozen=True, kw_only=True)
class LimitsNote:
    """What stands for each limit; empty texts where there are none."""

    missing: str
    """Why there are no limits; empty where there are."""
    memory: str = ""
    f32: str = ""
    int8: str = ""
    launch: str = ""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What was run."""

    prompt_tokens: tuple[int, ...]
    depths: tuple[int, ...]
    """Positions already in the context when decoding began."""
    new_tokens: int
    """Tokens decoded in each repeat."""
    repeats: int
    threads: int
    thread_scaling: tuple[int, ...]
    weights: str
    """``mapped`` or ``resident``."""
    kv: str
    """Type of the KV cache."""
    tokens: str
    """Where the token ids came from: ``random`` or ``text``."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """From nothing to the first token, once, in a new process; pages of the file may be cached."""

    process_ms: float
    """Until the process had opened the bundle, as seen from outside."""
    load_ms: float
    """Opening the bundle, in the process."""
    prompt_tokens: int
    prompt_ms: float
    """The first prefill, whose pages are touched for the first time."""
    first_token_ms: float
    """Start of the process to the first token's logits."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the machine gave while one length or depth was measured; see `Series`."""

    working_set_bytes: int
    """What was read to probe the bandwidth: as much as a pass reads, or more than caches hold."""
    read_gb_per_s: float | None
    """Median of the probes before and after the repeats that count; None when nothing was probed.
    """
    lowest_gb_per_s: float | None
    """Of all probes, those of repeats that were left out too."""
    highest_gb_per_s: float | None
    waited: float
    """Share of the threads' time without a CPU, in the repeats that count."""
    most_waited: float
    """The same of the worst of all repeats."""
    repeats: int
    """That count: their times are reported."""
    left_out: int
    """Repeats in which threads waited, or the bandwidth was another."""
    steady: bool
    """Whether enough repeats count; if not, all do, and their times say little."""

    def limits(self, roofline: Roofline) -> Roofline:
        """Return a machine's limits with the bandwidth that was probed beside the repeats."""
        if self.read_gb_per_s is None:
            return roofline
        rates = {**roofline.read_gb_per_s, self.working_set_bytes: self.read_gb_per_s}
        return replace(roofline, read_gb_per_s=rates)


@dataclass(frozen=True, kw_only=True)
class PrefillTimes:
    """Prompts of one length."""

    tokens: int
    threads: int
    latency: Latency
    tokens_per_s: float
    """By the median."""
    conditions: Conditions | None
    """None with fewer threads than the profile is of."""


@dataclass(frozen=True, kw_only=True)
class DecodeTimes:
    """Tokens one by one, from one depth on."""

    depth: int
    threads: int
    latency: Latency
    """Of each token."""
    tokens_per_s: float
    """By the median."""
    conditions: Conditions | None
    """None with fewer threads than the profile is of."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of the process that ran."""

    peak_rss_bytes: int
    peak_anonymous_bytes: int
    mapped_bytes: int
    """Of files, the weights above all, at the end."""
    kv_bytes: int
    """Reserved for the KV caches, at the full context; touched as positions are used."""


@dataclass(frozen=True, kw_only=True)
class Instrumentation:
    """What taking the time of every step costs, and how well the steps add up."""

    overhead: float
    """Median of decode with timestamps over that without, alternating, minus one."""
    coverage: float
    """Sum of the steps' times over the wall time of the call."""


@dataclass(frozen=True, kw_only=True)
class KernelTimes:
    """One kernel in one phase: a median token of decode, or a median prompt of prefill."""

    phase: PhaseName
    kernel: str
    """Its symbol."""
    operation: str
    scheme: str | None
    calls: int
    """In a token, or a prompt."""
    ms: float
    """Of all calls together; behind a driver what the device worked, where the driver says it."""
    share: float
    """Of the phase."""
    bytes: float
    """Moved by all calls: weights, activations and keys that they have to read and write."""
    operations: float
    """Of all calls; a multiply-accumulate is two."""
    gb_per_s: float
    gop_per_s: float
    bound: BoundName | None
    """The limit of the device that would hold it back last; None without limits."""
    of_bound: float | None
    """The time that this limit alone would take, over the time taken; None without limits."""
    waiting: float
    """Share of the threads' time in which a thread had no task; behind a driver, of the steps' time
    in which the device did not work."""
    samples_ms: tuple[float, ...]
    """Of all calls together, in each token or prompt, in the order in which they were measured."""


@dataclass(frozen=True, kw_only=True)
class LayerTimes:
    """One layer in one phase; -1 is what belongs to none (embedding, head)."""

    phase: PhaseName
    layer: int
    ms: float
    share: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class ExpertUse:
    """The experts of one layer, over all tokens that were measured."""

    layer: int
    counts: tuple[int, ...]
    """``[num_experts]``: how often each was chosen."""
    ms: tuple[float, ...]
    """``[num_experts]``: its share of the expert kernels' time in decode, each call's time being
    divided evenly among the experts that it ran."""
    expert_bytes: int
    """Weights read each time that one of them is used."""
    entropy: float
    """Of the counts, over that of uniform use."""


@dataclass(frozen=True, kw_only=True)
class StepSpan:
    """One step of the timeline."""

    label: str
    kernel: str
    layer: int
    begin_us: float
    """Since the token began."""
    us: float
    threads: tuple[tuple[float, float], ...]
    """Begin and duration in µs on each thread; both 0 where it had no task."""


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What the plan alone says that this machine should take; see `predict`."""

    decode_ms: Mapping[int, float]
    """By depth."""
    prefill_tokens_per_s: Mapping[int, float]
    """By prompt tokens."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Everything measured of one bundle in one place."""

    schema_version: int = SCHEMA_VERSION
    measured_at: str
    """UTC, ISO 8601."""
    bundle: BundleNote
    place: PlaceNote
    machine: MachineNote
    device: DeviceNote
    workload: Workload
    start: Start
    prefill: tuple[PrefillTimes, ...]
    """Each length with all threads, then the first length with fewer."""
    decode: tuple[DecodeTimes, ...]
    """Each depth with all threads, then the first depth with fewer."""
    memory: Memory
    instrumentation: Instrumentation
    roofline: Roofline | None
    """Limits of the device, probed after everything else, but for the bandwidth of the working
    set of decode at the first depth, which was probed beside it; None where `limits` says why."""
    limits: LimitsNote
    predicted: Predicted | None
    """None when emulated, and where the speed of its kernels was never measured."""
    kernels: tuple[KernelTimes, ...]
    """Those of decode at the first depth, then those of prefill of the first length; in each the
    longest first."""
    layers: tuple[LayerTimes, ...]
    experts: tuple[ExpertUse, ...]
    timeline: tuple[StepSpan, ...]
    """The median token of decode."""
