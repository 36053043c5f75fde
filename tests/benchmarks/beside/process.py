"""One side of a comparison: a program that loads a model and answers commands, line by line.

Both ``ossc-run --measure`` and :mod:`benchmarks.beside.llama_cpp_driver` speak this protocol: a
command is a line of words, its answer a line of JSON; the first line comes unasked.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

READ_BYTES = 1 << 17
"""As ``cat`` and ``cp`` do. Linux keeps what it reads ahead in large pages, and what a reader asks
for beyond that in small ones."""

LOG_CHARACTERS = 2000
"""How much of a failed program's log an error shows."""


class MeasurementError(Exception):
    """A program ended, or refused a command."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A program and the model that it runs."""

    name: str
    command: tuple[str, ...]
    weights: Path
    """The file that has to be in the page cache before a clock starts."""

    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """A side's program while it runs; a context manager."""

    def __init__(self, side: Side) -> None:
        """Start the program and wait until its model is loaded.

        Raises:
            MeasurementError: It ended before that.
        """
        self._side = side
        # A pipe that nobody reads would fill up. Closed when the program has ended.
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.begun_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            side.command,
            env=os.environ | dict(side.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.hello = self._answer("its start")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    @property
    def interpreter_s(self) -> float:
        """Seconds until the program's own code began; a side that is native says nothing of it."""
        return max(0.0, (self.hello.get("started_ns", self.begun_ns) - self.begun_ns) / 1e9)

    def ask(self, command: str, arguments: Sequence[int] = ()) -> dict[str, Any]:
        """Send one line and return its answer.

        Raises:
            MeasurementError: The program ended, or refuses the command.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join([command, *map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        return self._answer(command)

    def _answer(self, question: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            reason = self._log.read().strip()[-LOG_CHARACTERS:]
            raise MeasurementError(f"{self._side.name} ended at {question}: {reason}")
        answer = json.loads(line)
        if "error" in answer:
            raise MeasurementError(f"{self._side.name} refuses {question}: {answer['error']}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its input, which ends it, and wait."""
        self._process.communicate()
        self._log.close()


def read_into_page_cache(file: Path) -> None:
    """Read a file from its start to its end."""
    buffer = bytearray(READ_BYTES)
    with file.open("rb", buffering=0) as opened:
        while opened.readinto(buffer):
            pass


def drop_from_page_cache(file: Path) -> None:
    """Ask the system to forget a file's pages; those that a process maps stay."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
