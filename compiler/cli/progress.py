"""Progress of long work on stderr: a bar where it is a terminal, one line a phase where it is not.

A line has the phase's seconds when the phase is done: ``Packing weights … 12.3 s``. Of a phase that
takes long, what is done so far comes in between: ``Packing weights … 35% … 71% … 28.4 s``.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from tqdm import tqdm

from ossc.compiler.progress import Reporter

SHARE_EVERY_S = 10.0
"""How often a line says which share of its phase is done."""


class TerminalReporter(Reporter):
    """Shows the current phase."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._name = ""
        self._began_s: float | None = None
        """When the phase began whose line is open."""
        self._said_s = 0.0
        """When its line last became longer."""
        self._total_bytes: int | None = None
        self._done_bytes = 0
        self._notes: set[str] = set()

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        """Begin a phase; the one before it is done."""
        self.close()
        if total_bytes is not None and sys.stderr.isatty():
            self._bar = tqdm(
                total=total_bytes, desc=name, unit="B", unit_scale=True, unit_divisor=1024
            )
            return
        self._name = name
        self._began_s = self._said_s = time.monotonic()
        self._total_bytes, self._done_bytes = total_bytes, 0
        click.echo(f"{name} … ", nl=False, err=True)

    def advance(self, detail: str, size_bytes: int) -> None:
        """Count bytes of the current phase."""
        if self._bar is not None:
            self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update(size_bytes)
            return
        self._done_bytes += size_bytes
        now_s = time.monotonic()
        if self._began_s is not None and self._total_bytes and now_s - self._said_s > SHARE_EVERY_S:
            self._said_s = now_s
            click.echo(f"{self._done_bytes / self._total_bytes:.0%} … ", nl=False, err=True)

    def note(self, text: str) -> None:
        """Print a sentence on a line of its own, once; the phase goes on below it."""
        if text in self._notes:
            return
        self._notes.add(text)
        if self._began_s is None:
            tqdm.write(f"Note: {text}", file=sys.stderr)
        else:
            click.echo(f"\nNote: {text}\n{self._name} … ", nl=False, err=True)

    def close(self) -> None:
        """End the last phase, which is done."""
        if self._began_s is not None:
            click.echo(f"{time.monotonic() - self._began_s:.1f} s", err=True)
        self._end()

    def abandon(self) -> None:
        """End the last phase, which is not done."""
        if self._began_s is not None:
            click.echo("", err=True)
        self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._began_s = None


@contextmanager
def terminal_progress() -> Iterator[Reporter]:
    """Give a reporter that prints on stderr."""
    reporter = TerminalReporter()
    try:
        yield reporter
    except BaseException:
        reporter.abandon()
        raise
    reporter.close()
