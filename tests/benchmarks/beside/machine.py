"""The machine of a run: what it is, and what it can do at most."""

import dataclasses
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.beside.limits import Dense, key_bytes, token_work
from benchmarks.beside.process import MeasurementError, Process, Side
from benchmarks.beside.rows import Hooks, Row
from ossc.compiler.config import ModelConfig

MAX_PROBE_BYTES = 1 << 30
"""Most that the bandwidth probes read: far more than caches hold. A small model's weights stay in
the caches, so for it they read as much as the weights are."""

GIGA = 1e9

KEY_BYTES = 4
"""Of a value in our cache of float32; llama.cpp's float16 is half as much to read."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Rates of one number of threads, all busy."""

    read_gb_per_s: float
    """From pages of 4 KiB, as those of a file are."""

    read_huge_gb_per_s: float
    f32_gflops: float
    int8_gops: float
    """Of the best int8 instructions of this CPU."""


def median_limits(rounds: Sequence[Limits]) -> Limits:
    """Return the median of each rate: what a virtual machine gets changes from minute to minute."""
    return Limits(
        **{
            field.name: statistics.median(getattr(limits, field.name) for limits in rounds)
            for field in dataclasses.fields(Limits)
        }
    )


def describe_machine() -> dict[str, str]:
    """Return the CPU's name, its number of CPUs and the kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cpus": str(len(names)),
        "kernel": platform.release(),
    }


def probe_limits(side: Side, threads: int, hooks: Hooks) -> Limits:
    """Measure the machine with our program's probes.

    Raises:
        MeasurementError: The program failed.
    """
    size_bytes = min(MAX_PROBE_BYTES, side.weights.stat().st_size)
    with Process(side) as process, hooks.around():

        def probe(name: str, *size: int) -> float:
            return float(process.ask(f"probe {name}", [threads, *size])["value"])

        return Limits(
            read_gb_per_s=probe("read", size_bytes),
            read_huge_gb_per_s=probe("read_huge", size_bytes),
            f32_gflops=probe("f32"),
            int8_gops=probe_int8(probe),
        )


def probe_int8(probe: Callable[[str], float]) -> float:
    """Return the rate of the fastest int8 instructions that this CPU has."""
    try:
        return max(probe("int8"), probe("int8_vnni"))
    except MeasurementError:  # it has no such instructions
        return probe("int8")


def row_limits(row: Row, limits: Limits, config: ModelConfig, dense: Dense) -> dict[str, float]:
    """Return tokens a second that the machine allows in a row, by mode; empty for other rows.

    Decoding is held by reading weights, keys and values; a prompt by int8 arithmetic.
    """
    work = token_work(config)
    if row.kind == "prefill":
        rate = limits.int8_gops * GIGA / work.prefill_operations()
        return dict.fromkeys(("mapped", "resident", "repacked"), rate)
    if row.kind != "decode":
        return {}
    size = work.decode_bytes(dense) + key_bytes(config, row.amount, KEY_BYTES)
    small, huge = (rate * GIGA / size for rate in (limits.read_gb_per_s, limits.read_huge_gb_per_s))
    return {"mapped": small, "repacked": small, "resident": huge}
