"""Progress of long work on stderr: bars with speed and ETA, or lines where it is no terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm

from ossc.compiler.progress import Reporter


class TerminalReporter(Reporter):
    """Shows the current phase; one with a known size has a bar."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        """Begin a phase; the one before it is done."""
        self.close()
        if total_bytes is None or not sys.stderr.isatty():
            click.echo(f"{name} …", err=True)
            return
        self._bar = tqdm(total=total_bytes, desc=name, unit="B", unit_scale=True, unit_divisor=1024)

    def advance(self, detail: str, size_bytes: int) -> None:
        """Count bytes of the current phase."""
        if self._bar is not None:
            self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update(size_bytes)

    def note(self, text: str) -> None:
        """Print a line on stderr; the phase goes on."""
        tqdm.write(f"Note: {text}", file=sys.stderr)

    def close(self) -> None:
        """End the last phase."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def terminal_progress() -> Iterator[Reporter]:
    """Give a reporter that prints on stderr."""
    reporter = TerminalReporter()
    try:
        yield reporter
    finally:
        reporter.close()
