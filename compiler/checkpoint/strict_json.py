"""JSON from files that nobody vouches for: strict parsing, and fields of a known type.

Every error is one sentence that begins with the file.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ossc.runtimes.strict_json import parse_fields, shorten
from ossc.targets.errors import OsscError

MAX_INTEGER = 2**31 - 1
"""Largest count or dimension in a config: what the runtime's 32-bit loop counters hold."""


@dataclass(frozen=True, kw_only=True)
class JsonObject:
    """One object of a JSON file, read field by field."""

    source: str
    """The file, and where in it; begins every message."""

    error: type[OsscError]
    """What a wrong field raises."""

    fields: Mapping[str, Any]

    def __contains__(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.fields.get(name) is not None

    def fail(self, problem: str) -> NoReturn:
        """Raise the error of this file, with the sentence "<source> <problem>."."""
        raise self.error(f"{self.source} {problem}.")

    def integer(self, name: str, default: int | None = None, *, at_least: int = 1) -> int:
        """Return an integer from ``at_least`` to :data:`MAX_INTEGER`."""
        value = self._required(name, default)
        if type(value) is not int or not at_least <= value <= MAX_INTEGER:
            self._mistyped(name, value, f"an integer from {at_least} to {MAX_INTEGER}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number above zero."""
        value = self._required(name, default)
        if type(value) not in (int, float) or not 0 < value < math.inf:
            self._mistyped(name, value, "a finite number above 0")
        try:
            return float(value)
        except OverflowError:
            self._mistyped(name, value, "a finite number above 0")

    def flag(self, name: str, default: bool | None = None) -> bool:
        """Return true or false."""
        value = self._required(name, default)
        if type(value) is not bool:
            self._mistyped(name, value, "true or false")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string."""
        value = self._required(name, default)
        if type(value) is not str:
            self._mistyped(name, value, "a string")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self._required(name, None)
        if type(values) is not list or any(type(value) is not str for value in values):
            self._mistyped(name, values, "a list of strings")
        return tuple(values)

    def section(self, name: str) -> "JsonObject":
        """Return an object inside this one."""
        value = self._required(name, None)
        if type(value) is not dict:
            self._mistyped(name, value, "an object")
        return JsonObject(source=f"{self.source}, {name},", error=self.error, fields=value)

    def _required(self, name: str, default: object) -> Any:
        value = self.fields.get(name)
        if value is not None:
            return value
        if default is None:
            self.fail(f"lacks {name!r}, which is needed")
        return default

    def _mistyped(self, name: str, value: object, needed: str) -> NoReturn:
        self.fail(f"gives {name!r} as {shorten(value)}, but it has to be {needed}")


def read_json_object(path: Path, error: type[OsscError], *, max_bytes: int) -> JsonObject:
    """Read a JSON file that holds one object.

    Args:
        path: The file; may be a symbolic link.
        error: What to raise.
        max_bytes: Largest file that is believed.

    Raises:
        OsscError: ``error``, when the file is missing, unreadable, too large, or not strict JSON.
    """
    try:
        if not path.is_file():
            raise error(f"{path} is not there, or is no regular file, but is needed.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror}.") from reason
    if len(data) > max_bytes:
        raise error(
            f"{path} is larger than {max_bytes} bytes, the most that is read of such a file."
        )
    return parse_json_object(data, str(path), error)


def parse_json_object(data: bytes, source: str, error: type[OsscError]) -> JsonObject:
    """Parse strict JSON: UTF-8, no repeated key, no NaN or infinity, one object.

    Args:
        data: The JSON text.
        source: Where it is from, for messages.
        error: What to raise.

    Raises:
        OsscError: ``error``, when it is anything else.
    """
    try:
        fields = parse_fields(data)
    except ValueError as reason:
        raise error(f"{source} {reason}.") from reason
    return JsonObject(source=source, error=error, fields=fields)
