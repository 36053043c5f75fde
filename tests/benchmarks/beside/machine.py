"""The machine of a run: what it is, and what it can do at most."""

import dataclasses
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.beside.limits import Dense, key_bytes, token_work
from benchmarks.beside.noise import Sample
from benchmarks.beside.process import MeasurementError, Process, Side
from benchmarks.beside.rows import Hooks, Row
from ossc.compiler.families.fields.decoder import DecoderConfig

MAX_PROBE_BYTES = 1 << 28
"""Most that the bandwidth probes read: far more than caches hold. A small model's weights stay in
the caches, so for it they read as much as the weights are."""

GIGA = 1e9

KEY_BYTES = 2
"""Of a value in llama.cpp's cache, float16, by which both sides are judged."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Rates of one number of threads, all busy."""

    threads: int
    read_gb_per_s: float
    """From pages of 4 KiB, as those of a file are."""

    read_huge_gb_per_s: float
    f32_gflops: float
    int8_gops: float
    """Of the best int8 instructions of this CPU."""


@dataclass(frozen=True, kw_only=True)
class RowLimit:
    """What holds a row: the bytes or the operations of a token, or nothing that is known."""

    bytes: float | None = None
    operations_per_s: float = 0.0
    operations: float | None = None

    def percent(self, mode: str, samples: Sequence[Sample]) -> float | None:
        """Return how much of the machine's rate the samples reach; of their median.

        Decoding is held against the bandwidth that was measured just before and after it, from
        huge pages when the weights are ``resident``.
        """
        if self.operations is not None:
            value = statistics.median(sample.value for sample in samples)
            return 100 * value * self.operations / self.operations_per_s
        if self.bytes is None:
            return None
        shares = [
            sample.value * self.bytes / (GIGA * read_rate(mode, sample)) for sample in samples
        ]
        return 100 * statistics.median(shares)


def read_rate(mode: str, sample: Sample) -> float:
    """Return the bandwidth of a mode's pages around a measurement."""
    resident = mode == "resident"
    return statistics.mean(sample.read_huge_gb_per_s if resident else sample.read_gb_per_s)


class Prober:
    """Our program, which measures the machine between the measurements; a context manager."""

    def __init__(self, side: Side, hooks: Hooks) -> None:
        """Start it; a small model's weights stay in the caches, so as much as they are is read."""
        self._process = Process(side)
        self._hooks = hooks
        self._read_bytes = min(MAX_PROBE_BYTES, side.weights.stat().st_size)

    def read(self, threads: int) -> tuple[float, float]:
        """GB/s from small and from huge pages."""
        small, huge = (
            self._probe(name, threads, self._read_bytes) for name in ("read", "read_huge")
        )
        return small, huge

    def limits(self, threads: int) -> Limits:
        """Measure everything."""
        with self._hooks.around():
            small, huge = self.read(threads)
            return Limits(
                threads=threads,
                read_gb_per_s=small,
                read_huge_gb_per_s=huge,
                f32_gflops=self._probe("f32", threads),
                int8_gops=self._int8(threads),
            )

    def _int8(self, threads: int) -> float:
        """The rate of the fastest int8 instructions that this CPU has."""
        portable = self._probe("int8", threads)
        try:
            return max(portable, self._probe("int8_vnni", threads))
        except MeasurementError:  # it has no such instructions
            return portable

    def _probe(self, name: str, *arguments: int) -> float:
        return float(self._process.ask(f"probe {name}", arguments)["value"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the program."""
        self._process.close()


def median_limits(rounds: Sequence[Limits]) -> Limits:
    """Return the median of each rate of one number of threads."""
    rates = {
        field.name: statistics.median(getattr(limits, field.name) for limits in rounds)
        for field in dataclasses.fields(Limits)
        if field.name != "threads"
    }
    return Limits(threads=rounds[0].threads, **rates)


def describe_machine() -> dict[str, str]:
    """Return the CPU's name, its number of CPUs and the kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cpus": str(len(names)),
        "kernel": platform.release(),
    }


def row_limit(row: Row, int8_gops: float, config: DecoderConfig, dense: Dense) -> RowLimit:
    """Return what holds a row.

    Decoding is held by reading weights, keys and values; a prompt by int8 arithmetic.
    """
    work = token_work(config)
    if row.kind == "prefill":
        return RowLimit(operations=work.prefill_operations(), operations_per_s=int8_gops * GIGA)
    if row.kind == "decode":
        size = work.decode_bytes(dense) + key_bytes(config, row.amount, KEY_BYTES)
        return RowLimit(bytes=size)
    return RowLimit()
