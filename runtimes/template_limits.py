"""What a chat template may use up: a checkpoint's template is a program of someone unknown."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jinja2 import Undefined
from jinja2.utils import Namespace

_T = TypeVar("_T")

MAX_DEPTH = 64
"""Levels of lists and objects inside one another."""

MAX_INTEGER_BITS = 4096
"""Of an integer that a template computes."""

_CHARACTERS_PER_STEP = 4096


class TemplateLimitError(Exception):
    """A template used more than it may; the message says of what."""


@dataclass(frozen=True, kw_only=True)
class TemplateLimits:
    """Far above what templates need: the largest have 30,000 characters.

    A conversation of 400 messages takes most of them 70,000 steps, and 500,000 those that look
    through all messages for each.
    """

    source_characters: int = 2**17
    """Of the template itself."""

    characters: int = 2**22
    """Of any text or structure that a template makes, and of what it writes in all."""

    steps: int = 10**7
    """Turns of loops, calls and filters; a long text or body counts as several."""

    seconds: float = 60.0
    """For machines on which even so many steps take too long."""


@dataclass
class Budget:
    """What one rendering has used up so far."""

    limits: TemplateLimits
    source_characters: int = 0
    _steps: int = 0
    _written_characters: int = 0
    _deadline: float = 0.0
    _known_sizes: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._deadline = time.monotonic() + self.limits.seconds
        if self.source_characters > self.limits.source_characters:
            raise TemplateLimitError(
                f"it has {self.source_characters} characters, and at most "
                f"{self.limits.source_characters} are read"
            )

    def know(self, value: Any) -> None:
        """Measure a value that lives as long as the rendering, and remember its parts' sizes."""
        if isinstance(value, Collection) and not isinstance(value, str):
            for part in _parts(value):
                self.know(part)
            self._known_sizes[id(value)] = self.size(value)

    def spend(self, size: int = 0) -> None:
        """Take a step; of a larger value, several."""
        self._steps += 1 + size // _CHARACTERS_PER_STEP
        if self._steps > self.limits.steps:
            raise TemplateLimitError(f"it takes more than {self.limits.steps} steps")
        if time.monotonic() > self._deadline:
            raise TemplateLimitError(f"it takes more than {self.limits.seconds:g} s")

    def turn(self) -> None:
        """Begin a turn of a loop or a macro, which may do all that the source says."""
        self.spend(self.source_characters)

    def allow(self, size: int) -> None:
        """Allow a value of a size before it is made."""
        if size > self.limits.characters:
            raise TemplateLimitError(
                f"it makes a text or a list of more than {self.limits.characters} characters"
            )

    def checked(self, value: _T) -> _T:
        """Return a value that is not too large."""
        self.spend(self.size(value))
        return value

    def written(self, value: Any) -> None:
        """Count what is put out."""
        size = self.size(value)
        self.spend(size)
        self._written_characters += size
        self.allow(self._written_characters)

    def size(self, value: Any, depth: int = 0) -> int:
        """Characters of a text; entries and their sizes of a list or an object.

        Raises:
            TemplateLimitError: It is more than may be.
        """
        if isinstance(value, str | bytes):
            total = len(value)
        elif isinstance(value, int):
            total = value.bit_length() // 3
        elif id(value) in self._known_sizes:
            total = self._known_sizes[id(value)]
        else:
            total = self._size_of_parts(value, depth)
        self.allow(total)
        return total

    def _size_of_parts(self, value: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise TemplateLimitError(f"it nests more than {MAX_DEPTH} lists in one another")
        total = 1
        for part in _parts(value):
            total += 1 + self.size(part, depth + 1)
            self.allow(total)
        return total


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Namespace):
        value = object.__getattribute__(value, "_Namespace__attrs")
    if isinstance(value, Mapping):
        return (part for item in value.items() for part in item)
    is_list = isinstance(value, Collection) and not isinstance(value, range | Undefined)
    return value if is_list else ()


class CountedIterable:
    """What a loop runs over; each turn is a step."""

    def __init__(self, iterable: Iterable[Any], budget: Budget) -> None:
        """Wrap an iterable."""
        self._iterable = iterable
        self._budget = budget

    def __iter__(self) -> Iterator[Any]:
        for item in self._iterable:
            self._budget.turn()
            yield item

    def __len__(self) -> int:
        return len(self._iterable)  # type: ignore[arg-type] # TypeError is what Jinja expects
