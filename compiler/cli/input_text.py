"""Texts that a user gives: as an argument, in a file or on stdin."""

import sys
from pathlib import Path
from typing import BinaryIO

import click

from ossc.targets.errors import UsageError

STDIN = "-"
"""The name that stands for stdin."""

MAX_BYTES = 16 << 20
"""Longer than any prompt that a context holds."""


def read_text(name: str) -> str:
    """Read a file, or stdin, as UTF-8.

    Raises:
        UsageError: It cannot be read, is too long, is empty, or is not UTF-8.
    """
    data, where = read_bytes(name)
    try:
        return checked_text(data.decode(), where)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{where} is not valid UTF-8 (byte {error.start} is 0x{data[error.start]:02x}); give "
            "UTF-8 text."
        ) from error


def read_bytes(name: str) -> tuple[bytes, str]:
    """Read a file, or stdin.

    Returns:
        Its content, and what to call it.

    Raises:
        UsageError: It cannot be read, or is too long.
    """
    where = "stdin" if name == STDIN else click.format_filename(name)
    try:
        if name == STDIN:
            data = _stdin().read(MAX_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{where} cannot be read ({reason}); give a file that can.") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{where} is longer than {MAX_BYTES >> 20} MiB; give a shorter prompt.")
    return data, where


def checked_text(text: str, name: str) -> str:
    """Return a text that is there and that UTF-8 can spell.

    Raises:
        UsageError: It is another one: Python spells an argument's other bytes as surrogates.
    """
    if not text:
        raise UsageError(f"{name} is empty; give a text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is not valid UTF-8; give UTF-8 text.") from error
    return text


def _stdin() -> BinaryIO:
    if sys.stdin is None:  # closed by whoever started this process
        raise ValueError("it is closed")
    return sys.stdin.buffer
