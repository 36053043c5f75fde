"""Reads JSON that nobody vouches for: no duplicate, missing or unknown field, and no wrong type."""

import json
from collections.abc import Mapping
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
            self._fail(f"has {value!r} for {name!r}, which is not an integer of at least {least}")
        return value

    def text(self, name: str) -> str:
        """A text field.

        Raises:
            BundleError: It is missing or something else.
        """
        value = self._take(name)
        if not isinstance(value, str):
            self._fail(f"has {value!r} for {name!r}, which is not a text")
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of integers, none negative.

        Raises:
            BundleError: It is missing or something else.
        """
        values = self._take(name)
        if not isinstance(values, list) or any(type(v) is not int or v < 0 for v in values):
            self._fail(f"has {values!r} for {name!r}, which is not a list of integers")
        return tuple(values)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts.

        Raises:
            BundleError: It is missing or something else.
        """
        values = self._take(name)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            self._fail(f"has {values!r} for {name!r}, which is not a list of texts")
        return tuple(values)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object with any fields.

        Raises:
            BundleError: It is missing or something else.
        """
        value = self._take(name)
        if not isinstance(value, dict):
            self._fail(f"has {value!r} for {name!r}, which is not an object")
        return value

    def object(self, name: str) -> "StrictObject":
        """An object whose fields are then asked for.

        Raises:
            BundleError: It is missing or something else.
        """
        return StrictObject(self.mapping(name), f"{self._where}: {name}")

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
        BundleError: They are not UTF-8, not JSON, not an object, or repeat a name.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a name occurs twice in one object")
        return dict(pairs)

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(data.decode(), object_pairs_hook=unique, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{where} is not valid JSON ({error}); compile the model again."
        ) from error
    if not isinstance(value, dict):
        raise BundleError(f"{where} is not a JSON object; compile the model again.")
    return StrictObject(value, where)
