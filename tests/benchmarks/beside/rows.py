"""What is measured of one side while its program runs, and in which order."""

import dataclasses
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.beside.noise import Sample, others_share, read_cpu_time
from benchmarks.beside.process import (
    Process,
    Side,
    drop_from_page_cache,
    read_into_page_cache,
)

Kind = Literal["start", "decode", "prefill", "memory"]

ReadProbe = Callable[[int], tuple[float, float]]
"""From a number of threads to GB/s that they read, from small and from huge pages."""

Met = Callable[[str, Sequence[Sample]], bool]
"""Whether a row's samples of a turn can be compared with the other side's turns of this round."""

START_TOKENS = 8

USE_TOKENS = 128
"""Of the prompt that a program reads before a clock runs: it meets all experts."""

WARM_UP_TOKENS = 8

DECODE_TOKENS = 8
"""Fewest tokens whose median counts."""

DECODE_SAMPLES = 16
"""In each turn at least, each with the bandwidth before and after it: the machine's may change
within seconds, and both sides have to meet the same."""

START_SAMPLES = 4
"""In each turn at least, of a program that starts within ``SLOW_START_S``."""

SLOW_START_S = 4.0

MAX_WAIT_S = 100.0
"""How long a turn goes on sampling until it has met a bandwidth of the other side's turns."""

MEASURED_S = 0.4
"""Shortest time that is measured; small models do more tokens, or the same ones again."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    key: str
    title: str
    kind: Kind
    threads: int
    amount: int = 0
    """Tokens of the prompt; for decoding, the position that it starts from."""

    @property
    def more_is_better(self) -> bool:
        """Rates are tokens a second; starts are seconds, memory is bytes."""
        return self.kind in ("decode", "prefill")


@dataclass(frozen=True, kw_only=True)
class SessionSize:
    """What token ids and positions are allowed."""

    vocab_size: int
    context: int


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Shell commands around every measurement, such as to let other work pause."""

    before: str | None = None
    after: str | None = None

    @contextmanager
    def around(self) -> Iterator[None]:
        """Run one command, the body, and the other command.

        Raises:
            CalledProcessError: A command failed.
        """
        if self.before:
            subprocess.run(self.before, shell=True, check=True)
        try:
            yield
        finally:
            if self.after:
                subprocess.run(self.after, shell=True, check=True)


def all_rows(threads: int, context: int) -> list[Row]:
    """List the rows that a session of ``context`` positions can do, in the order of measuring."""
    rows = [
        Row(key="start_cold", title="start, cold", kind="start", threads=threads),
        Row(key="start_warm", title="start, warm", kind="start", threads=threads),
        Row(key="decode", title="decode", kind="decode", threads=threads),
        *(
            Row(key=f"prefill_{n}", title=f"prefill {n}", kind="prefill", threads=threads, amount=n)
            for n in (128, 512, 2048)
        ),
        Row(key="anonymous", title="peak anonymous", kind="memory", threads=threads),
        Row(key="mapped", title="mapped", kind="memory", threads=threads),
        *(
            Row(
                key=f"decode_at_{n}",
                title=f"decode at {n}",
                kind="decode",
                threads=threads,
                amount=n,
            )
            for n in (4096, 16384)
        ),
        Row(key="decode_1_thread", title="decode, 1 thread", kind="decode", threads=1),
    ]
    return [row for row in rows if row.amount + DECODE_TOKENS * (row.kind == "decode") <= context]


class Measurement:
    """One round of one side."""

    def __init__(
        self,
        side: Side,
        rows: Sequence[Row],
        hooks: Hooks,
        size: SessionSize,
        read_probe: ReadProbe,
        met: Met | None = None,
    ) -> None:
        """Prepare; nothing runs. Without ``met`` no turn waits for another bandwidth."""
        self._side, self._hooks, self._size = side, hooks, size
        self._read_probe, self._met = read_probe, met
        self._rows = {row.key: row for row in rows}
        self._seed = 0
        self.samples: dict[str, list[Sample]] = {}

    def run(self, seed: int) -> dict[str, list[Sample]]:
        """Start the program and measure every row.

        Args:
            seed: Of the token ids; the same on both sides of a round.

        Returns:
            By the row's key.

        Raises:
            MeasurementError: The program failed.
        """
        self._seed = seed
        if "start_cold" in self._rows:
            with self._hooks.around():
                self._start("start_cold", drop_from_page_cache).close()
        with self._started_warm() as process:
            self._measure_running(process)
        return self.samples

    def _started_warm(self) -> Process:
        """Start the program, again and again if that is measured, and return the last one."""
        key = "start_warm"
        with self._hooks.around():
            process = self._start(key, self._start_before)
            samples = self.samples.get(key, [])
            if not samples or samples[0].value > SLOW_START_S:
                return process
            for _ in self._until_met(key, START_SAMPLES, samples):
                process.close()
                process = self._start(key)
            return process

    def _until_met(self, key: str, least: int, samples: Sequence[Sample]) -> Iterator[None]:
        """Yield for each further sample that is wanted."""
        end = time.monotonic() + MAX_WAIT_S
        while len(samples) < least or (
            self._met and not self._met(key, samples) and time.monotonic() < end
        ):
            yield

    def _start_before(self, weights: Path) -> None:
        """Use the program, which reads its file in its own way; then read what it did not."""
        with Process(self._side) as process:
            count = min(USE_TOKENS, self._size.context)
            process.ask("prefill", self._ids("use", count))
        read_into_page_cache(weights)

    def _start(self, key: str, prepare: Callable[[Path], None] | None = None) -> Process:
        """Start the program and let it read a prompt; that is a sample, if the row is wanted.

        What holds a cold start is the disk, so then the memory's bandwidth does not matter.
        """
        ids = self._ids(key, START_TOKENS)
        wanted = self._rows.get(key)
        if prepare:
            prepare(self._side.weights)
        probed = wanted and key != "start_cold"
        before = self._read_probe(wanted.threads) if probed else None
        begin = read_cpu_time()
        process = Process(self._side)
        try:
            process.ask("prefill", ids)
            seconds = (time.monotonic_ns() - process.begun_ns) / 1e9 - process.interpreter_s
            others = others_share(begin, read_cpu_time(process.pid))
            sample = Sample(value=seconds, others=others)
            if before:
                sample = with_bandwidth(sample, before, self._read_probe(wanted.threads))
            if wanted:
                self.samples.setdefault(key, []).append(sample)
        except BaseException:
            process.close()
            raise
        return process

    def _measure_running(self, process: Process) -> None:
        for row in self._rows.values():
            if row.kind == "prefill":
                self._prefill(process, row)
            elif row.kind == "decode":
                self._decode(process, row)
            elif row.kind == "memory":
                self.samples[row.key] = [Sample(value=memory_bytes(process, row.key))]

    def _prefill(self, process: Process, row: Row) -> None:
        ids = self._ids(row.key, row.amount)

        def run() -> float:
            process.ask("reset")
            return float(process.ask("prefill", ids)["seconds"])

        def measure() -> float:
            seconds = [run()]
            seconds += [run() for _ in range(int(MEASURED_S / seconds[0]))]
            return row.amount / statistics.median(seconds)

        with self._hooks.around():
            self.samples[row.key] = [self._time_now(process, measure)]

    def _decode(self, process: Process, row: Row) -> None:
        if row.threads == 1:
            process.ask("threads", [1])
        stand_at(process, row.amount)
        ids = self._ids(row.key, WARM_UP_TOKENS)
        seconds = statistics.median(process.ask("decode", ids)["seconds"])
        room = self._size.context - row.amount
        ids = self._ids(row.key, min(room, max(DECODE_TOKENS, int(MEASURED_S / seconds))))

        def measure() -> float:
            return 1 / statistics.median(process.ask("decode", ids)["seconds"])

        samples = self.samples[row.key] = []
        with self._hooks.around():
            before = self._read_probe(row.threads)
            for _ in self._until_met(row.key, DECODE_SAMPLES, samples):
                stand_at(process, row.amount)
                sample = self._time_now(process, measure)
                after = self._read_probe(row.threads)
                samples.append(with_bandwidth(sample, before, after))
                before = after

    def _time_now(self, process: Process, action: Callable[[], float]) -> Sample:
        begin = read_cpu_time(process.pid)
        value = action()
        return Sample(value=value, others=others_share(begin, read_cpu_time(process.pid)))

    def _ids(self, key: str, count: int) -> list[int]:
        """Random tokens; the same on both sides, as far as both need so many."""
        numbers = random.Random(f"{self._seed} {key}")
        return [numbers.randrange(self._size.vocab_size) for _ in range(count)]


def with_bandwidth(
    sample: Sample, before: tuple[float, float], after: tuple[float, float]
) -> Sample:
    """Add the rates of reading from small and from huge pages, just before and just after."""
    small, huge = zip(before, after, strict=True)
    return dataclasses.replace(sample, read_gb_per_s=small, read_huge_gb_per_s=huge)


def stand_at(process: Process, position: int) -> None:
    """Go to a position: an empty context, or one that is filled without running tokens."""
    if position:
        process.ask("fill", [position])
    else:
        process.ask("reset")


def memory_bytes(process: Process, key: str) -> float:
    """Return the anonymous or the mapped bytes of a process; its interpreter's stay out."""
    memory = process.ask("memory")
    if key == "mapped":
        return float(memory["mapped_bytes"])
    return float(memory["peak_anonymous_bytes"] - process.hello.get("interpreter_bytes", 0))
