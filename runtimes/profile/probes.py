"""Measuring the limits of the machine that a runner is on."""

from ossc.runtimes.profile.roofline import Roofline
from ossc.runtimes.profile.runner import Runner
from ossc.runtimes.session import WeightsMode

WORKING_SETS_BYTES = (1 << 19, 1 << 21, 1 << 23, 1 << 25, 1 << 28)
"""From what the nearest caches hold to what none does."""

READ_PROBES: dict[WeightsMode, str] = {"mapped": "read", "resident": "read_huge"}
"""Mapped files are read through 4 KiB pages, resident weights through huge ones."""


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
    return Roofline(
        source="measured",
        threads=threads,
        read_gb_per_s={
            size: runner.probe(read, threads, size).value for size in WORKING_SETS_BYTES
        },
        f32_gflops=runner.probe("f32", threads).value,
        int8_gops=runner.probe("int8", threads).value,
        launch_ns=runner.probe("launch", threads).value,
    )
