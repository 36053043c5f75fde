"""Measuring the limits of the machine that a runner is on."""

from dataclasses import dataclass

from ossc.runtimes.profile.device.answers import Hello
from ossc.runtimes.profile.device.runner import Runner
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


def kernel_isa(hello: Hello) -> str:
    """Return the instruction set of the kernels that a runner chose.

    Raises:
        UnknownNameError: The bundle's target is none that this ossc knows.
    """
    if hello.instruction_set == BASE:
        return find_target(hello.target).host.kernel_isa
    return hello.instruction_set


def probe_roofline(runner: Runner, threads: int, weights: WeightsMode = "mapped") -> Roofline:
    """Measure every limit.

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
class ReadProbe:
    """Measures the rate of reading on a machine."""

    runner: Runner
    """On the machine, not the one whose times are measured: its buffers are not the bundle's."""

    threads: int
    weights: WeightsMode
    """How the weights are held, which decides the pages that are read."""

    @staticmethod
    def size(working_set_bytes: float) -> int:
        """Return how much to read for a working set: as much, within `WORKING_SETS_BYTES`."""
        return round(min(max(working_set_bytes, WORKING_SETS_BYTES[0]), WORKING_SETS_BYTES[-1]))

    def gb_per_s(self, size_bytes: int) -> float:
        """Read a buffer of this size.

        Raises:
            SessionError: The runner failed.
        """
        return self.runner.probe(READ_PROBES[self.weights], self.threads, size_bytes).value
