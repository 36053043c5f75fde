"""Measuring the limits of the device that a bundle runs on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ossc.runtimes.profile.device.answers import Device, Hello
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.profile import LimitsNote
from ossc.runtimes.profile.roofline import Roofline
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets import find_target

WORKING_SETS_BYTES = (1 << 19, 1 << 21, 1 << 23, 1 << 25, 1 << 28)
"""From what the nearest caches hold to what none does."""

READ_PROBES: dict[WeightsMode, str] = {"mapped": "read", "resident": "read_huge"}
"""Mapped files are read through 4 KiB pages, resident weights through huge ones."""

ARITHMETIC_PROBES = {
    "avx512_vnni": ("f32_avx512", "int8_vnni"),
    "avx_vnni": ("f32", "int8_vnni"),
}
"""Of float32 and of int8, by the instruction set of the kernels; ``f32`` and ``int8`` of others."""

BASE = "base"
"""What a runner calls the instruction set that every machine of a target has."""

PROBED_PART = 4
"""A buffer that is probed is at most such a part of a device's memory: the largest that every
OpenCL device takes."""


class Prober(Protocol):
    """Measures what one device can do; every call raises `SessionError` when it fails."""

    @property
    def note(self) -> LimitsNote:
        """What is measured."""

    def size(self, working_set_bytes: float) -> int:
        """Return how much to read for a working set: as much, as far as it is probed."""

    def gb_per_s(self, size_bytes: int) -> float:
        """Read a buffer of this size."""

    def roofline(self) -> Roofline:
        """Measure every limit."""


def kernel_isa(hello: Hello) -> str:
    """Return the instruction set of the kernels that a runner chose.

    Raises:
        UnknownNameError: The bundle's target is none that this ossc knows.
    """
    if hello.instruction_set == BASE:
        return find_target(hello.target).host.kernel_isa
    return hello.instruction_set


def probe_roofline(runner: Runner, threads: int, weights: WeightsMode = "mapped") -> Roofline:
    """Measure every limit of a machine's CPUs.

    Args:
        runner: On the machine.
        threads: That work together.
        weights: How the weights are held, which decides the pages that are read.

    Raises:
        SessionError: The runner failed.
    """
    read = READ_PROBES[weights]
    isa = kernel_isa(runner.hello)
    f32, int8 = ARITHMETIC_PROBES.get(isa, ("f32", "int8"))
    return Roofline(
        source="measured",
        isa=isa,
        threads=threads,
        read_gb_per_s={
            size: runner.probe(read, threads, size).value for size in WORKING_SETS_BYTES
        },
        f32_gflops=runner.probe(f32, threads).value,
        int8_gops=runner.probe(int8, threads).value,
        launch_ns=runner.probe("launch", threads).value,
    )


@dataclass(frozen=True, kw_only=True)
class CpuProber:
    """Measures the CPUs of a machine."""

    runner: Runner
    """On the machine, not the one whose times are measured: its buffers are not the bundle's."""

    threads: int
    weights: WeightsMode
    """How the weights are held, which decides the pages that are read."""

    @property
    def note(self) -> LimitsNote:
        """See `Prober.note`."""
        return LimitsNote(
            missing="",
            memory="reading a buffer, by all threads",
            f32="fused multiply-adds of registers",
            int8="multiply-accumulates of bytes",
            launch="a step of tasks that do nothing",
        )

    def size(self, working_set_bytes: float) -> int:
        """See `Prober.size`."""
        return _within(WORKING_SETS_BYTES, working_set_bytes)

    def gb_per_s(self, size_bytes: int) -> float:
        """See `Prober.gb_per_s`."""
        return self.runner.probe(READ_PROBES[self.weights], self.threads, size_bytes).value

    def roofline(self) -> Roofline:
        """See `Prober.roofline`."""
        return probe_roofline(self.runner, self.threads, self.weights)


@dataclass(frozen=True, kw_only=True)
class DriverProber:
    """Measures a device through its driver, with kernels that the runtime brings."""

    runner: Runner
    """Has opened the bundle on no device: the weights are there once."""

    device: Device

    @property
    def note(self) -> LimitsNote:
        """See `Prober.note`."""
        return LimitsNote(
            missing="",
            memory="reading a buffer in a kernel, or copying half of it where that is faster",
            f32="multiply-adds of registers (mad)",
            int8="multiply-adds of int32, as which its kernels compute bytes",
            launch="a kernel that does nothing, by the clock that steps are timed with",
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The working sets that are probed."""
        most = self.device.memory_bytes // PROBED_PART
        return tuple(size for size in WORKING_SETS_BYTES if size <= most) or WORKING_SETS_BYTES[:1]

    def size(self, working_set_bytes: float) -> int:
        """See `Prober.size`."""
        return _within(self.sizes, working_set_bytes)

    def gb_per_s(self, size_bytes: int) -> float:
        """See `Prober.gb_per_s`."""
        return self._probe("read", size_bytes)

    def roofline(self) -> Roofline:
        """See `Prober.roofline`."""
        return Roofline(
            source="measured",
            isa=self.device.kind,
            threads=1,
            read_gb_per_s={size: self._probe("read", size) for size in self.sizes},
            f32_gflops=self._probe("f32"),
            int8_gops=self._probe("int32"),
            launch_ns=self._probe("launch"),
        )

    def _probe(self, name: str, size_bytes: int | None = None) -> float:
        return self.runner.device_probe(self.device.wanted, name, size_bytes).value


def _within(sizes: Sequence[int], working_set_bytes: float) -> int:
    return round(min(max(working_set_bytes, min(sizes)), max(sizes)))
