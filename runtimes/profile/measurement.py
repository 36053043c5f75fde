"""A workload on a running bundle: every call, its wall time, and the times of its steps.

Plain calls and calls with timestamps alternate, so that what the timestamps cost is measured by the
same minutes of the machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.aggregation.executions import TimedCall
from ossc.runtimes.profile.device.answers import (
    DecodeTiming,
    Machine,
    PrefillTiming,
    ProcessMemory,
    is_cpu_driver,
)
from ossc.runtimes.profile.device.probes import Prober
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.passes import pass_bytes
from ossc.runtimes.profile.profile import Start
from ossc.runtimes.profile.repeats import Repeat, Series
from ossc.runtimes.profile.workload import Workload, workload_tokens

OnProgress = Callable[[str], None]
"""Called with what is measured next."""

WARM_UP_TOKENS = 4

SCALING_REPEATS = 2
"""At most, with fewer threads."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Calls that follow each other."""

    seconds: tuple[float, ...]
    waited_s: float
    calls: tuple[TimedCall, ...] = ()
    """Empty without timestamps."""

    @property
    def ms(self) -> tuple[float, ...]:
        return tuple(1e3 * seconds for seconds in self.seconds)


class Measurement:
    """The workload on one runner, and what it gave."""

    machine: Machine
    start: Start
    memory: ProcessMemory
    machine_after: Machine

    def __init__(
        self,
        bundle: Bundle,
        workload: Workload,
        runner: Runner,
        prober: Prober | None,
        on_progress: OnProgress,
    ) -> None:
        """Prepare; nothing runs.

        Args:
            bundle: That the runner has opened.
            workload: That fits it.
            runner: Fresh.
            prober: Of the same device; None where it has no limits.
            on_progress: Told what comes next.
        """
        self.workload = workload
        self.runner = runner
        self.threads = runner.hello.threads
        self.prefill: dict[int, Series] = {}
        self.decode: dict[int, Series] = {}
        self.prefill_scaling_ms: dict[int, list[float]] = {}
        self.decode_scaling_ms: dict[int, list[float]] = {}
        self._bundle = bundle
        self._prober = prober
        self._tokens = workload_tokens(workload, bundle.plan.vocab_size)
        self._on_progress = on_progress

    def run(self) -> None:
        """Measure everything, in the order in which a process comes to it."""
        self.machine = self.runner.machine()
        self.start = self._first_token()
        self._warm_up()
        chunk = self._bundle.plan.segment("prefill").max_tokens
        for count in self.workload.prompt_tokens:
            self._on_progress(f"prefill of {count} tokens")
            self.prefill[count] = self._series(partial(self._prefill, count), min(count, chunk), 0)
        for depth in self.workload.depths:
            self._on_progress(f"decode at {depth} tokens")
            self.decode[depth] = self._series(partial(self._decode, depth), 1, depth)
        self.memory = self.runner.memory()
        self.machine_after = self.runner.machine()
        for threads in fewer_threads(self.threads):
            self._on_progress(f"{threads} threads")
            self._scale(threads)

    def _first_token(self) -> Start:
        count = self.workload.prompt_tokens[0]
        timing = self.runner.prefill(self._tokens.take(0, count))
        hello = self.runner.hello
        prompt_ms = 1e3 * timing.seconds
        process_ms = 1e3 * self.runner.start_s
        return Start(
            process_ms=process_ms,
            load_ms=1e3 * hello.load_s,
            prompt_tokens=count,
            prompt_ms=prompt_ms,
            first_token_ms=process_ms + prompt_ms,
        )

    def _warm_up(self) -> None:
        position = self.workload.prompt_tokens[0]
        self.runner.decode(self._tokens.take(position, WARM_UP_TOKENS))

    def _series(self, run: Callable[[bool], _Run], tokens: int, position: int) -> Series:
        """Repeat calls whose passes have so many tokens at a position."""
        may_wait = self._prober is None or self.threads > self.machine.cpus
        series = Series(wanted=self.workload.repeats, may_wait=may_wait)
        probe = None
        if self._prober is not None:
            plan, costs = self._bundle.plan, self._bundle.manifest.kernels
            size = self._prober.size(pass_bytes(plan, costs, tokens, position))
            series.working_set_bytes = size
            probe = partial(self._prober.gb_per_s, size)
        series.run(partial(self._repeat, run), probe)
        return series

    def _repeat(self, run: Callable[[bool], _Run], plain_first: bool) -> Repeat:
        first, second = run(not plain_first), run(plain_first)
        plain, timed = (first, second) if plain_first else (second, first)
        return Repeat(
            plain_ms=plain.ms,
            timed_ms=timed.ms,
            calls=timed.calls,
            thread_s=self._computing_threads * sum(plain.seconds + timed.seconds),
            waited_s=plain.waited_s + timed.waited_s,
        )

    @property
    def _computing_threads(self) -> int:
        """How many threads of the runner compute: a driver of a CPU has one for each."""
        device = self.runner.hello.device
        return self.machine.cpus if is_cpu_driver(device) else self.threads

    def _prefill(self, count: int, timed: bool) -> _Run:
        self._observe(timed)
        self.runner.reset()
        timing = self.runner.prefill(self._tokens.take(0, count))
        return _Run(
            seconds=(timing.seconds,),
            waited_s=timing.waited_s,
            calls=(prefill_call(timing),) if timed else (),
        )

    def _decode(self, depth: int, timed: bool) -> _Run:
        self._observe(False)
        if depth in self.prefill:
            self.runner.reset()
            self.runner.prefill(self._tokens.take(0, depth))
        else:
            self.runner.fill(depth)
        self._observe(timed)
        timing = self.runner.decode(self._tokens.take(depth, self.workload.new_tokens))
        return _Run(
            seconds=timing.seconds,
            waited_s=timing.waited_s,
            calls=tuple(decode_calls(timing, depth)) if timed else (),
        )

    def _observe(self, timed: bool) -> None:
        self.runner.times(timed)
        self.runner.routing(timed)

    def _scale(self, threads: int) -> None:
        """Measure the first length and depth with fewer threads."""
        self.runner.threads(threads)
        count, depth = self.workload.prompt_tokens[0], self.workload.depths[0]
        prefill_ms = self.prefill_scaling_ms[threads] = []
        decode_ms = self.decode_scaling_ms[threads] = []
        for _ in range(min(SCALING_REPEATS, self.workload.repeats)):
            prefill_ms.extend(self._prefill(count, False).ms)
            decode_ms.extend(self._decode(depth, False).ms)


def fewer_threads(threads: int) -> tuple[int, ...]:
    """Return the powers of two below a number of threads."""
    return tuple(2**i for i in range(threads.bit_length()) if 2**i < threads)


def prefill_call(timing: PrefillTiming) -> TimedCall:
    """Return a prompt from position 0 whose times and routing were asked for."""
    assert timing.times is not None, "it was asked for"
    assert timing.routing is not None, "it was asked for"
    return TimedCall(position=0, seconds=timing.seconds, times=timing.times, routing=timing.routing)


def decode_calls(timing: DecodeTiming, depth: int) -> list[TimedCall]:
    """Return the tokens from a position on, whose times and routing were asked for."""
    assert timing.times is not None, "it was asked for"
    assert timing.routing is not None, "it was asked for"
    return [
        TimedCall(position=depth + index, seconds=seconds, times=times, routing=routing)
        for index, (seconds, times, routing) in enumerate(
            zip(timing.seconds, timing.times, timing.routing, strict=True)
        )
    ]
