"""The process's own stdin, stdout and stderr, made safe to use.

1. stdout carries data: a write that fails, or a closed stdout, is an `OutputError` at once. Only a
   reader that went away stays a `BrokenPipeError`, with which click ends quietly.
2. stderr carries messages: one that cannot be written is lost, and the work goes on.
3. A closed descriptor is filled with ``/dev/null``, so that no file of ours takes its number.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from ossc.targets.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Data(io.FileIO):
    """Stdout's descriptor; after a failure it takes what is left in buffers and drops it."""

    _failed = False

    def write(self, data: "ReadableBuffer", /) -> int:
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except BrokenPipeError:
            self._failed = True
            raise
        except OSError as error:
            self._failed = True
            raise OutputError(
                f"stdout cannot be written ({error.strerror}); make room, or send it elsewhere."
            ) from error


class _Messages(io.FileIO):
    """Stderr's descriptor."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


@contextmanager
def checked_streams() -> Iterator[None]:
    """Replace ``sys.stdout`` and ``sys.stderr`` in the block, where they are the process's own.

    Raises:
        OutputError: stdout is closed, or something could not be written to it.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    if sys.stdout is None:
        raise OutputError(
            "stdout is closed, so the output would be lost; send it somewhere, or to /dev/null."
        )
    _fill_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    if sys.stdout is sys.__stdout__:
        encoding = before[1].encoding
        # A path that is no UTF-8 leaves as the bytes that it is.
        errors = "surrogateescape" if encoding.lower() == "utf-8" else "backslashreplace"
        sys.stdout = _text(_Data(1, "w", closefd=False), encoding, errors)
    if sys.stderr is sys.__stderr__:
        encoding = getattr(sys.stderr, "encoding", "utf-8")
        sys.stderr = _text(_Messages(2, "w", closefd=False), encoding, "backslashreplace")
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _text(descriptor: io.FileIO, encoding: str, errors: str) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(descriptor), encoding, errors, line_buffering=descriptor.isatty()
    )


def _fill_closed_descriptors() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
