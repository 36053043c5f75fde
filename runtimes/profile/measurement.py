"""A workload on a running bundle: every call, its wall time, and the times of its steps.

Plain calls and calls with timestamps alternate, so that what the timestamps cost is measured by the
same minutes of the machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.aggregation.executions import TimedCall
from ossc.runtimes.profile.device.answers import DecodeTiming, Machine, PrefillTiming, ProcessMemory
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.profile import Start
from ossc.runtimes.profile.workload import Workload, workload_tokens

OnProgress = Callable[[str], None]
"""Called with what is measured next."""

WARM_UP_TOKENS = 4


@dataclass
class Samples:
    """Wall times of one length or depth, in ms, and the calls that were timed step by step."""

    plain_ms: list[float] = field(default_factory=list)
    timed_ms: list[float] = field(default_factory=list)
    calls: list[TimedCall] = field(default_factory=list)


class Measurement:
    """The workload on one runner, and what it gave."""

    machine: Machine
    start: Start
    memory: ProcessMemory
    machine_after: Machine

    def __init__(
        self, bundle: Bundle, workload: Workload, runner: Runner, on_progress: OnProgress
    ) -> None:
        self.workload = workload
        self.runner = runner
        self.threads = runner.hello.threads
        self.prefill = {count: Samples() for count in workload.prompt_tokens}
        self.decode = {depth: Samples() for depth in workload.depths}
        self.prefill_scaling: dict[int, Samples] = {}
        self.decode_scaling: dict[int, Samples] = {}
        self._tokens = workload_tokens(workload, bundle.plan.vocab_size)
        self._on_progress = on_progress

    def run(self) -> None:
        """Measure everything, in the order in which a process comes to it."""
        self.machine = self.runner.machine()
        self.start = self._first_token()
        self._warm_up()
        for count, samples in self.prefill.items():
            self._on_progress(f"prefill of {count} tokens")
            self._repeat(partial(self._prefill, count, samples))
        for depth, samples in self.decode.items():
            self._on_progress(f"decode at {depth} tokens")
            self._repeat(partial(self._decode, depth, samples))
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

    def _repeat(self, measure: Callable[[bool], None]) -> None:
        for repeat in range(self.workload.repeats):
            for timed in (False, True) if repeat % 2 == 0 else (True, False):
                measure(timed)

    def _prefill(self, count: int, samples: Samples, timed: bool) -> None:
        self._observe(timed)
        self.runner.reset()
        timing = self.runner.prefill(self._tokens.take(0, count))
        (samples.timed_ms if timed else samples.plain_ms).append(1e3 * timing.seconds)
        if timed:
            samples.calls.append(prefill_call(timing))

    def _decode(self, depth: int, samples: Samples, timed: bool) -> None:
        self._observe(False)
        if depth in self.prefill:
            self.runner.reset()
            self.runner.prefill(self._tokens.take(0, depth))
        else:
            self.runner.fill(depth)
        self._observe(timed)
        timing = self.runner.decode(self._tokens.take(depth, self.workload.new_tokens))
        (samples.timed_ms if timed else samples.plain_ms).extend(1e3 * s for s in timing.seconds)
        if timed:
            samples.calls.extend(decode_calls(timing, depth))

    def _observe(self, timed: bool) -> None:
        self.runner.times(timed)
        self.runner.routing(timed)

    def _scale(self, threads: int) -> None:
        """Measure the first length and depth with fewer threads."""
        self.runner.threads(threads)
        count, depth = self.workload.prompt_tokens[0], self.workload.depths[0]
        prefill = self.prefill_scaling[threads] = Samples()
        decode = self.decode_scaling[threads] = Samples()
        for _ in range(min(2, self.workload.repeats)):
            self._prefill(count, prefill, False)
            self._decode(depth, decode, False)


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
