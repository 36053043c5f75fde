"""Reads JSON that nobody vouches for: no duplicate, missing or unknown field, and no wrong type."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ossc.targets.errors import BundleError

MAX_INTEGER = 2**53
"""Every JSON reader holds integers up to this exactly."""


class StrictObject:
    """The fields of one JSON object, each of which must be asked for."""

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        """Wrap parsed fields.

        Args:
            fields: The object.
            where: What messages call it, such as ``manifest.json: target``.
        """
        self._fields = dict(fields)
        self._where = where

    def names(self) -> tuple[str, ...]:
        """The fields not asked for so far."""
        return tuple(self._fields)

    def _fail(self, fault: str) -> NoReturn:
        raise BundleError(f"{self._where} {fault}; compile the model again.")

    def _take(self, name: str) -> Any:
        if name not in self._fields:
            self._fail(f"has no field {name!r}")
        return self._fields.pop(name)

    def integer(self, name: str, least: int = 0) -> int:
        """An integer field.

        Raises:
            BundleError: It is missing, something else, or smaller than ``least``.
        """
        value = self._take(name)
        if type(value) is not int or not least <= value <= MAX_INTEGER:
            self._fail(
                f"has {shorten(value)} for {name!r}, which is not an integer of at least {least}"
            )
        return value

    def text(self, name: str) -> str:
        """A text field, without control characters: it will be shown in a terminal.

        Raises:
            BundleError: It is missing or something else.
        """
        value = self._take(name)
        if not isinstance(value, str) or not value.isprintable():
            self._fail(f"has {shorten(value)} for {name!r}, which is not a printable text")
        return value

    def text_or_none(self, name: str) -> str | None:
        """A text field that may be null.

        Raises:
            BundleError: It is missing or something else.
        """
        if name in self._fields and self._fields[name] is None:
            del self._fields[name]
            return None
        return self.text(name)

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of integers, none negative.

        Raises:
            BundleError: It is missing or something else.
        """
        values = self._take(name)
        if not isinstance(values, list) or any(type(v) is not int or v < 0 for v in values):
            self._fail(f"has {shorten(values)} for {name!r}, which is not a list of integers")
        return tuple(values)

    def integers_or_none(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, none negative, that may be null.

        Raises:
            BundleError: It is missing or something else.
        """
        if name in self._fields and self._fields[name] is None:
            del self._fields[name]
            return None
        return self.integers(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts.

        Raises:
            BundleError: It is missing or something else.
        """
        values = self._take(name)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self._fail(f"has {shorten(values)} for {name!r}, which is not a list of texts")
        return tuple(values)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object with any fields.

        Raises:
            BundleError: It is missing or something else.
        """
        value = self._take(name)
        if not isinstance(value, dict):
            self._fail(f"has {shorten(value)} for {name!r}, which is not an object")
        return value

    def object(self, name: str) -> "StrictObject":
        """An object whose fields are then asked for.

        Raises:
            BundleError: It is missing or something else.
        """
        return StrictObject(self.mapping(name), f"{self._where}: {name}")

    def is_list(self, name: str) -> bool:
        """Whether a field not asked for so far is a list."""
        return isinstance(self._fields.get(name), list)

    def objects(self, name: str) -> tuple["StrictObject", ...]:
        """A list of objects whose fields are then asked for.

        Raises:
            BundleError: It is missing or something else.
        """
        values = self._take(name)
        if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
            self._fail(f"has {shorten(values)} for {name!r}, which is not a list of objects")
        return tuple(StrictObject(value, f"{self._where}: {name}") for value in values)

    def all_texts(self) -> dict[str, str]:
        """All fields, each a text.

        Raises:
            BundleError: One is something else.
        """
        return {name: self.text(name) for name in self.names()}

    def finish(self) -> None:
        """State that every field was asked for.

        Raises:
            BundleError: Some were not: the file says what this version does not understand.
        """
        if self._fields:
            self._fail(f"has unknown fields {', '.join(sorted(self._fields))}")


def parse_object(data: bytes, where: str) -> StrictObject:
    """Parse bytes that must be one JSON object.

    Raises:
        BundleError: They are not, as of :func:`parse_fields`.
    """
    try:
        return StrictObject(parse_fields(data), where)
    except ValueError as error:
        raise BundleError(f"{where} {error}; compile the model again.") from error


def parse_fields(data: bytes) -> dict[str, Any]:
    """Parse strict JSON that is one object; see :func:`parse_json`.

    Raises:
        ValueError: It is anything else; the message continues a sentence that begins with the file.
    """
    value = parse_json(data)
    if type(value) is not dict:
        raise ValueError(f"has to hold a JSON object, but holds {shorten(value)}")
    return value


def parse_json(data: bytes) -> Any:
    """Parse strict JSON: UTF-8, no repeated name, no NaN or infinity.

    Raises:
        ValueError: It is anything else; the message continues a sentence that begins with the file.
    """
    try:
        text = data.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # no half of a surrogate pair
    except RecursionError as error:
        raise ValueError("is not valid JSON: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {_cut(str(error), 200)}") from error
    return value


def shorten(value: object, limit: int = 60) -> str:
    """Return the value for a message, cut to a readable length."""
    return _cut(repr(value), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        (repeated, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {shorten(repeated)} is there more than once")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
