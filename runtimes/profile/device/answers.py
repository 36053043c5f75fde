"""What ``ossc-run --measure`` answers, checked: it may come from another machine.

``docs/measuring.md`` is the specification. Every parser raises :class:`AnswerError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.device_description import DeviceDescription

Fields = Mapping[str, Any]
Answer = TypeVar("Answer")


class AnswerError(ValueError):
    """An answer is not what the protocol says."""


@dataclass(frozen=True, kw_only=True)
class Device(DeviceDescription):
    """What runs the steps."""

    has_probes: bool
    """Whether ``device_probe`` measures it."""

    @property
    def wanted(self) -> str:
        """What ``--device`` takes for it."""
        return f"{self.kind}:{self.index}"


THE_CPU = Device(
    kind="cpu",
    index=0,
    platform="Linux",
    name="the CPU of this machine",
    type="cpu",
    driver="",
    memory_bytes=0,
    shares_memory=True,
    has_probes=False,
)
"""What a runner has that does not say it: older ones were measured on CPUs alone."""


def is_cpu_driver(device: Device) -> bool:
    """Whether a device behind a driver is the machine's CPU again."""
    return device.kind != THE_CPU.kind and device.type == "cpu"


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The line that comes unasked."""

    protocol: int
    load_s: float
    """Opening the bundle and creating a session."""
    threads: int
    weights_bytes: int
    state_bytes: int
    arena_bytes: int
    target: str
    instruction_set: str
    """For which the best of its kernels in use were built; ``base``: what every machine of the
    target has."""
    device: Device = THE_CPU


@dataclass(frozen=True, kw_only=True)
class CallTimes:
    """When the steps of one call ran; ns of the runner's clock."""

    begin_ns: int
    """When the first step began; each further one begins where the one before it ends."""
    segment: NDArray[np.int64]
    """``[n_steps]``: index into the plan's segments."""
    step: NDArray[np.int64]
    """``[n_steps]``: index into the segment's steps."""
    num_tokens: NDArray[np.int64]
    """``[n_steps]``: rows that the step ran for."""
    ns: NDArray[np.int64]
    """``[n_steps]``: how long it took."""
    thread_ns: NDArray[np.int64]
    """``[n_steps, threads, 2]``: when each thread began and ended its tasks; zeros: it had none."""

    @classmethod
    def parse(cls, fields: Any) -> Self:
        """Check one object of ``times``."""
        if not isinstance(fields, Mapping):
            raise AnswerError("times is no object")
        ns = _integers(fields.get("ns"))
        begin_ns = _integer(fields.get("begin_ns"))
        lists = {name: _integers(fields.get(name)) for name in ("segment", "step", "num_tokens")}
        threads = _integers(fields.get("thread_ns"))
        if any(len(values) != len(ns) for values in lists.values()):
            raise AnswerError("the lists of times have different lengths")
        if not len(ns) or not len(threads) or len(threads) % (2 * len(ns)):
            raise AnswerError("thread_ns does not have two numbers for each step and thread")
        relative = threads.reshape(len(ns), -1, 2)
        absolute = np.where(relative[:, :, 1:] == 0, 0, relative + begin_ns)
        return cls(begin_ns=begin_ns, **lists, ns=ns, thread_ns=absolute)


@dataclass(frozen=True, kw_only=True)
class PrefillTiming:
    """A prefill."""

    seconds: float
    argmax: int
    """The likeliest next token."""
    waited_s: float
    """Time that the runner's threads waited meanwhile for a CPU that others had, all together."""
    times: CallTimes | None
    """None unless asked for."""
    routing: NDArray[np.int32] | None
    """``[layers with a router, n_tokens, num_experts_per_tok]``, -1 where a router chooses fewer;
    None unless asked for."""

    @classmethod
    def parse(cls, fields: Fields, layers: int, n_tokens: int) -> Self:
        """Check the fields; ``layers`` are those with a router."""
        times, routing = fields.get("times"), fields.get("routing")
        return cls(
            seconds=_real(fields.get("seconds")),
            argmax=_integer(fields.get("argmax")),
            waited_s=_real(fields.get("waited_s")),
            times=None if times is None else CallTimes.parse(times),
            routing=None if routing is None else _routing(routing, layers, n_tokens),
        )


@dataclass(frozen=True, kw_only=True)
class DecodeTiming:
    """Tokens that were decoded one after the other; every list has one entry for each."""

    seconds: tuple[float, ...]
    argmax: tuple[int, ...]
    waited_s: float
    """As of a prefill, during all of them."""
    times: tuple[CallTimes, ...] | None
    """None unless asked for."""
    routing: tuple[NDArray[np.int32], ...] | None
    """Each ``[layers with a router, 1, experts_per_tok]``; None unless asked for."""

    @classmethod
    def parse(cls, fields: Fields, layers: int, n_tokens: int) -> Self:
        """Check the fields; ``layers`` are those with a router."""
        times = _entries(fields, "times", n_tokens) if "times" in fields else None
        routing = _entries(fields, "routing", n_tokens) if "routing" in fields else None
        return cls(
            seconds=tuple(map(_real, _entries(fields, "seconds", n_tokens))),
            argmax=tuple(map(_integer, _entries(fields, "argmax", n_tokens))),
            waited_s=_real(fields.get("waited_s")),
            times=None if times is None else tuple(map(CallTimes.parse, times)),
            routing=None if routing is None else tuple(_routing(r, layers, 1) for r in routing),
        )


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """Memory of the runner's process."""

    peak_rss_bytes: int
    """Includes the mapped pages of ``weights.bin``."""
    anonymous_bytes: int
    peak_anonymous_bytes: int
    """The largest that was seen after a command."""
    mapped_bytes: int
    """Pages of files that are in memory."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One limit of the machine."""

    value: float
    """The best of several rounds, in the unit of the probe."""
    spread: float
    """How far the median round is from it, as a fraction of it."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine, as its system describes it; empty or zero where it does not say."""

    cpu_model: str
    cpu_features: str
    """In the names of /proc/cpuinfo, with spaces between them."""
    cpus: int
    """That the process may use."""
    governor: str
    """Of the first CPU's frequency."""
    mhz: float
    """Of the first CPU, now."""
    huge_pages: str
    """Transparent ones: always, madvise or never."""
    load_average: float
    """Processes that ran or wanted to, in the last minute."""
    ran_s: float = 0.0
    """CPU time of the runner's threads; zero also from runners that do not know it."""
    waited_s: float = 0.0
    """Time in which they could have run, and had no CPU."""
    memory_bytes: int
    available_bytes: int
    """Memory that programs can still have."""
    kernel: str


def parse_answer(kind: type[Answer], fields: Fields) -> Answer:
    """Make an answer of its fields, each of exactly the type that it is declared with.

    Args:
        kind: `Hello`, `ProcessMemory`, `Probe` or `Machine`.
        fields: Parsed JSON; it may have more than the answer's fields.

    Raises:
        AnswerError: A field is missing or of another type.
    """
    try:
        return msgspec.convert(fields, kind, strict=True)
    except msgspec.ValidationError as error:
        raise AnswerError(f"the answer is no {kind.__name__}: {error}") from error


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise AnswerError("an integer is missing")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float):
        raise AnswerError("a number is missing")
    return float(value)


def _integers(values: Any) -> NDArray[np.int64]:
    if not isinstance(values, list) or any(type(value) is not int for value in values):
        raise AnswerError("a list of integers is missing")
    try:
        return np.array(values, np.int64)
    except OverflowError as error:
        raise AnswerError("an integer is too large") from error


def _entries(fields: Fields, name: str, count: int) -> list[Any]:
    values = fields.get(name)
    if not isinstance(values, list) or len(values) != count:
        raise AnswerError(f"{name} does not have one entry for each token")
    return values


def _routing(values: Any, layers: int, n_tokens: int) -> NDArray[np.int32]:
    flat, rows = _integers(values), layers * n_tokens
    if not rows:
        return np.empty((layers, n_tokens, 0), np.int32)
    if not len(flat) or len(flat) % rows:
        raise AnswerError("routing does not have the same number of experts for each token")
    routing = flat.reshape(layers, n_tokens, -1)
    if flat.min() < -1 or routing[..., 0].min() < 0 or flat.max() > np.iinfo(np.int32).max:
        raise AnswerError("routing has a number that is no expert")
    return routing.astype(np.int32)
