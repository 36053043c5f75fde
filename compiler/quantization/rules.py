"""Rules of a quantization plan: which weights, or which experts of them, get a scheme."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

from ossc.compiler.quantization import find_scheme
from ossc.targets.errors import QuantizationError, UnknownNameError

TensorClass = Literal["experts", "dense", "embedding", "head"]
"""``dense`` is every matrix outside the experts but the embedding, the head and the router."""

TENSOR_CLASSES: tuple[TensorClass, ...] = get_args(TensorClass)

LARGEST_EXPERT = (1 << 16) - 1
"""Of a plan's rules; no model has so many, and a plan of more would only take memory."""

AS_STORED = "as-stored"
"""In place of a scheme's name: the form in which the checkpoint holds the tensor."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The scheme of some weights."""

    match: str
    """A tensor class, or a pattern of modules such as ``model.layers.0.*``."""
    scheme: str
    """Its name, or ``as-stored``."""
    experts: tuple[int, ...] | None = None
    """Only these experts of the weights that match, rising; None: all of each weight."""

    @property
    def is_pattern(self) -> bool:
        """Whether it is for modules whose names match, and not for a class."""
        return is_pattern(self.match)

    def covers(self, module: str, tensor_class: TensorClass) -> bool:
        """Tell whether it is for a weight, or for some of its experts."""
        if self.is_pattern:
            return fnmatchcase(module, self.match)
        return self.match == tensor_class


def is_pattern(match: str) -> bool:
    """Tell whether a rule is for modules whose names match it, and not for a class."""
    return any(character in match for character in ".*?[")


def rules_of(schemes: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return the rules of a table of classes and patterns, in its order."""
    return tuple(Rule(match=match, scheme=scheme) for match, scheme in schemes.items())


def read_rules(path: Path, tables: object) -> Iterator[Rule]:
    """Read the tables ``[[rules]]`` of a plan's file.

    Raises:
        QuantizationError: They are no rules.
    """
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise QuantizationError(f"{path}: rules must be tables, [[rules]], not {tables!r}.")
    for table in tables:
        refuse_unknown(path, table, ("match", "experts", "scheme"))
        for key in ("match", "scheme"):
            if key not in table:
                raise QuantizationError(f"{path}: a rule lacks {key}: {table!r}; add it.")
        yield read_rule(path, table["match"], table["scheme"], table.get("experts"))


def read_rule(path: Path, match: object, scheme: object, experts: object = None) -> Rule:
    """Make a rule of what a plan's file holds.

    Raises:
        QuantizationError: It is none.
    """
    if not isinstance(match, str):
        raise QuantizationError(
            f"{path}: match must be a tensor class or a pattern of modules, not {match!r}."
        )
    if not is_pattern(match):
        refuse_unknown(path, [match], TENSOR_CLASSES)
    if not isinstance(scheme, str):
        raise QuantizationError(f"{path}: {match} must name a scheme, not {scheme!r}.")
    _check_scheme(path, match, scheme)
    if experts is None:
        return Rule(match=match, scheme=scheme)
    return Rule(match=match, scheme=scheme, experts=_experts(path, match, experts))


def _experts(path: Path, match: str, given: object) -> tuple[int, ...]:
    """Read numbers, and ranges of numbers such as ``"8-11"``, both ends included."""
    if not isinstance(given, list) or not given:
        raise QuantizationError(
            f'{path}: the experts of {match} must be a list such as [0, 3, "8-11"], not {given!r}.'
        )
    return tuple(sorted({expert for each in given for expert in _range(path, match, each)}))


def _range(path: Path, match: str, given: object) -> range:
    if type(given) is int and 0 <= given <= LARGEST_EXPERT:
        return range(given, given + 1)
    ends = re.fullmatch(r"(\d{1,6})-(\d{1,6})", given) if isinstance(given, str) else None
    if ends is None or not int(ends[1]) <= int(ends[2]) <= LARGEST_EXPERT:
        raise QuantizationError(
            f"{path}: the experts of {match} are numbers from 0 on and ranges such as "
            f'"8-11", not {given!r}.'
        )
    return range(int(ends[1]), int(ends[2]) + 1)


def refuse_unknown(path: Path, table: Iterable[str], known: tuple[str, ...]) -> None:
    """Refuse keys of a plan's file that mean nothing.

    Raises:
        QuantizationError: There is one; near misses are suggested.
    """
    for key in table:
        if key not in known:
            raise QuantizationError(f"{path}: {UnknownNameError('plan key', key, known)}")


def _check_scheme(path: Path, match: str, name: str) -> None:
    if name == AS_STORED:
        return
    try:
        find_scheme(name)
    except UnknownNameError as error:
        raise QuantizationError(f"{path}: {match}: {error}") from error
