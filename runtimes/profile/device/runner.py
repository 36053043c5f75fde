"""A bundle's ``ossc-run --measure`` as Python calls; ``docs/measuring.md`` is its protocol."""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ossc.runtimes.bundle import EXECUTABLE_NAME
from ossc.runtimes.plan import Plan
from ossc.runtimes.profile.device.answers import (
    THE_CPU,
    AnswerError,
    DecodeTiming,
    Hello,
    Machine,
    PrefillTiming,
    Probe,
    ProcessMemory,
    parse_answer,
)
from ossc.runtimes.strict_json import parse_fields, shorten
from ossc.runtimes.system_advice import start_advice
from ossc.targets.errors import SessionError

PROTOCOL = 2
"""Version of the protocol that this module speaks."""

MAX_ANSWER_BYTES = 1 << 30
END_S = 10.0
"""How long a runner may take to end after its input did."""

T = TypeVar("T")


class Runner:
    """A running ``ossc-run --measure``. Every call raises `SessionError` when it is refused."""

    hello: Hello
    start_s: float
    """From the start of the process to its first line."""

    def __init__(self, command: Sequence[str], plan: Plan, ready_line: str | None = None) -> None:
        """Start the process and wait until the bundle is open.

        Args:
            command: What to start: ``ossc-run --measure`` with its arguments, or what leads to it.
            plan: The bundle's.
            ready_line: A line that the command prints when it comes to ``ossc-run``, such as on
                another machine; what it prints before is ignored.

        Raises:
            SessionError: The process does not start, or refuses the bundle.
        """
        self._plan = plan
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        begin = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
            )
        except OSError as error:
            self._messages.close()
            program = Path(command[0])
            is_ours = program.name == EXECUTABLE_NAME
            otherwise = "copy or compile the bundle again" if is_ours else "install it"
            advice = start_advice(program, error, otherwise)
            raise SessionError(f"{program} does not start ({error.strerror}); {advice}.") from error
        try:
            begin = self._wait_until_ready(ready_line) or begin
            self.hello = self._parse(partial(parse_answer, Hello), self._read())
            self.start_s = time.perf_counter() - begin
            self._check_protocol()
            self._check_device()
        except BaseException as error:
            self.close(at_once=isinstance(error, KeyboardInterrupt))
            raise

    def prefill(self, token_ids: Sequence[int]) -> PrefillTiming:
        """Run tokens from the current position on, as one call."""
        fields = self._ask("prefill", *token_ids)
        layers = len(self._plan.router_layers)
        return self._parse(lambda f: PrefillTiming.parse(f, layers, len(token_ids)), fields)

    def decode(self, token_ids: Sequence[int]) -> DecodeTiming:
        """Run tokens from the current position on, one call for each."""
        fields = self._ask("decode", *token_ids)
        layers = len(self._plan.router_layers)
        return self._parse(lambda f: DecodeTiming.parse(f, layers, len(token_ids)), fields)

    def reset(self) -> None:
        """Stand at position 0."""
        self._ask("reset")

    def fill(self, position: int) -> None:
        """Stand at a position as if so many tokens had run, with memory that was written."""
        self._ask("fill", position)

    def threads(self, threads: int) -> None:
        """Begin a new session with so many threads, at position 0."""
        self._ask("threads", threads)

    def times(self, on: bool) -> None:
        """Whether calls report the times of their steps."""
        self._ask("times", "on" if on else "off")

    def routing(self, on: bool) -> None:
        """Whether calls report the experts that they chose."""
        self._ask("routing", "on" if on else "off")

    def memory(self) -> ProcessMemory:
        """Memory of the process."""
        return self._parse(partial(parse_answer, ProcessMemory), self._ask("memory"))

    def probe(self, name: str, threads: int, size_bytes: int | None = None) -> Probe:
        """Measure a limit of the machine, see ``docs/measuring.md``.

        Args:
            name: Of the limit.
            threads: That work together.
            size_bytes: Of the buffer that is read, in total; only for the limits of reading.
        """
        size = () if size_bytes is None else (size_bytes,)
        return self._parse(partial(parse_answer, Probe), self._ask("probe", name, threads, *size))

    def device_probe(self, device: str, name: str, size_bytes: int | None = None) -> Probe:
        """Measure a limit of a device behind a driver.

        Args:
            device: ``KIND`` or ``KIND:WHICH``.
            name: Of the limit.
            size_bytes: Of the buffer that is read; only for ``read``.
        """
        size = () if size_bytes is None else (size_bytes,)
        fields = self._ask("device_probe", device, name, *size)
        return self._parse(partial(parse_answer, Probe), fields)

    def machine(self) -> Machine:
        """The machine, as its system describes it now."""
        return self._parse(partial(parse_answer, Machine), self._ask("machine"))

    def close(self, *, at_once: bool = False) -> None:
        """End the process; nothing else may be called afterwards.

        Args:
            at_once: Whether it is not asked to finish the command that it carries out.
        """
        if at_once:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close_pipe(pipe)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._messages.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(at_once=isinstance(error, KeyboardInterrupt))

    def _wait_until_ready(self, ready_line: str | None) -> float | None:
        if ready_line is None:
            return None
        while self._read_line() != ready_line:
            pass
        return time.perf_counter()

    def _check_protocol(self) -> None:
        if self.hello.protocol != PROTOCOL:
            raise SessionError(
                f"{EXECUTABLE_NAME} speaks version {self.hello.protocol} of the protocol and this "
                f"ossc speaks {PROTOCOL}; use the ossc that compiled the bundle."
            )

    def _check_device(self) -> None:
        """Refuse a runner that does not say what it runs on."""
        kind = self._plan.devices[0].kind
        if self.hello.device.kind == THE_CPU.kind != kind:
            raise SessionError(
                f"{EXECUTABLE_NAME} does not say which {kind} device it runs on; compile the model "
                "again."
            )

    def _ask(self, *words: str | int) -> dict[str, Any]:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise SessionError("The runner is closed; start another one.")
        try:
            stdin.write(f"{' '.join(map(str, words))}\n".encode())
            stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._read_line()
        try:
            fields = parse_fields(line.encode())
        except ValueError as error:
            raise _wrong_answer(line, f"it {error}") from error
        if "error" in fields:
            raise SessionError(str(fields["error"]))
        return fields

    def _read_line(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None, "it was asked for"
        line = stdout.readline(MAX_ANSWER_BYTES)
        if not line.endswith(b"\n"):
            raise self._ended()
        return line[:-1].decode(errors="replace")

    def _ended(self) -> SessionError:
        """Say why the process is gone, in its own words when it left some."""
        try:
            status = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            return SessionError(f"{EXECUTABLE_NAME} closed its output and goes on.")
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").strip().splitlines()
        reason = lines[-1].removeprefix(f"{EXECUTABLE_NAME}: ") if lines else ""
        return SessionError(reason or f"{EXECUTABLE_NAME} ended with status {status}.")

    @staticmethod
    def _parse(parse: Callable[[Mapping[str, Any]], T], fields: dict[str, Any]) -> T:
        try:
            return parse(fields)
        except AnswerError as error:
            raise _wrong_answer(json.dumps(fields), str(error)) from error


def _wrong_answer(line: str, fault: str) -> SessionError:
    return SessionError(
        f"{EXECUTABLE_NAME} answered {shorten(line)}, which is not its protocol ({fault}); use the "
        "ossc that compiled the bundle, or compile the model again."
    )


def _close_pipe(pipe: Any) -> None:
    """Close a pipe whose other end may be gone, with what it still holds."""
    with contextlib.suppress(BrokenPipeError):
        pipe.close()
