"""How large a value a template's filter, method or operator makes, before it makes it."""

import re
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any

from ossc.runtimes.template_limits import (
    MAX_INTEGER_BITS,
    Budget,
    TemplateLimitError,
)

_MAX_PRECISION = 64
"""Digits that ``round`` is asked for, and spaces that ``tojson`` indents by."""

_DIRECTIVE = re.compile(r"%(?:\([^)]{0,100}\))?[-+ #0]*(\d+|\*|)(?:\.(\d+|\*)|)")
_LONG_NAME = re.compile(r"%\([^)]{101}")
_DIGITS = re.compile(r"\d+")
_MAX_DIGITS = 12
"""Of a width; more digits make it no less too wide."""

_CHARACTERS_PER_LIST = 50
"""What an empty list takes, in characters."""

_SLOW_FILTERS = frozenset(("pprint", "striptags", "urlize", "wordwrap"))
"""Their time grows faster than their text."""

_MAX_SLOW_CHARACTERS = 2**16


def check_filter(
    budget: Budget, name: str, value: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Refuse a filter whose result would be too large; returns the value to filter.

    Raises:
        TemplateLimitError: It would be.
    """
    if name in ("join", "sum"):
        value = _with_length(budget, value)
    if name in _SLOW_FILTERS and budget.size(value) > _MAX_SLOW_CHARACTERS:
        raise TemplateLimitError(f"it filters a long text with {name!r}")
    if name in _FILTER_SIZES:
        budget.allow(_FILTER_SIZES[name](budget, value, *args, **kwargs))
    return value


def check_method(
    budget: Budget, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Sequence[Any]:
    """Refuse a method of a text or a number whose result would be too large.

    Returns:
        The arguments to call it with.

    Raises:
        TemplateLimitError: It would be.
    """
    method = getattr(function, "__wrapped__", function)  # the sandbox wraps str.format
    owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
    if not isinstance(owner, str | bytes | int):
        return args
    budget.spend(budget.size(owner))
    if name == "join":
        args = [_with_length(budget, values) for values in args]
    if name in _METHOD_SIZES:
        budget.allow(_METHOD_SIZES[name](budget, owner, *args, **kwargs))
    return args


def _with_length(budget: Budget, values: Any) -> Any:
    return values if hasattr(values, "__len__") else budget.checked(list(values))


def check_operator(budget: Budget, operator: str, left: Any, right: Any) -> None:
    """Refuse a product, a power or a formatted text that would be too large.

    Raises:
        TemplateLimitError: It would be.
    """
    if operator == "%":
        budget.allow(_printf(budget, left))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        _allow_bits(left.bit_length() * abs(right))
    elif operator == "*" and isinstance(left, int) and isinstance(right, int):
        _allow_bits(left.bit_length() + right.bit_length())
    elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
        value, count = (right, left) if isinstance(left, int) else (left, right)
        if not isinstance(value, float):
            budget.allow(budget.size(value) * max(0, count))


def _allow_bits(n_bits: int) -> None:
    if n_bits > MAX_INTEGER_BITS:
        raise TemplateLimitError(f"it computes a number of more than {MAX_INTEGER_BITS} bits")


def _printf(_budget: Budget, layout: Any, *_: Any, **__: Any) -> int:
    """The widths and precisions of a printf layout together; only texts have one."""
    if not isinstance(layout, str | bytes):
        return 0
    text = layout.decode("latin-1") if isinstance(layout, bytes) else layout
    sizes = [size for directive in _DIRECTIVE.findall(text) for size in directive]
    if "*" in sizes or _LONG_NAME.search(text):
        raise TemplateLimitError("it formats with a width that is an argument, or by a long name")
    return len(text) + sum(map(_number, sizes))


def _format(_budget: Budget, layout: Any, *_: Any, **__: Any) -> int:
    """The widths and precisions of a ``str.format`` layout together."""
    specifications = [spec for _, _, spec, _ in Formatter().parse(str(layout)) if spec]
    if any("{" in spec for spec in specifications):
        raise TemplateLimitError("it formats with a width that is an argument")
    sizes = [size for spec in specifications for size in _DIGITS.findall(spec)]
    return len(layout) + sum(map(_number, sizes))


def _number(digits: str) -> int:
    return int(digits[:_MAX_DIGITS] or 0)


def _width(_budget: Budget, _text: Any, width: int = 80, *_: Any) -> int:
    return int(width)


def _lists(_budget: Budget, _values: Any, count: int, *_: Any, **__: Any) -> int:
    return int(count) * _CHARACTERS_PER_LIST


def _indent(_budget: Budget, text: Any, width: int | str = 4, *_: Any, **__: Any) -> int:
    n_lines = len(str(text).splitlines())
    return len(str(text)) + n_lines * (len(width) if isinstance(width, str) else int(width))


def _replace(_budget: Budget, text: Any, old: Any, new: Any, *_: Any, **__: Any) -> int:
    n_found = text.count(old) if isinstance(text, bytes) else str(text).count(str(old))
    return len(text) + int(n_found) * len(str(new))


def _join(budget: Budget, values: Any, separator: Any = "", *_: Any, **__: Any) -> int:
    return budget.size(values) + len(values) * len(str(separator))


def _join_method(budget: Budget, separator: Any, values: Any) -> int:
    return _join(budget, values, separator)


def _tabs(_budget: Budget, text: Any, tabsize: int = 8) -> int:
    return len(text) * max(1, int(tabsize))


def _translate(budget: Budget, text: Any, table: Any, *_: Any) -> int:
    return len(text) * budget.size(table)


def _times_arguments(budget: Budget, text: Any, *args: Any, **kwargs: Any) -> int:
    return budget.size(text) * budget.size((args, kwargs))


def _sum(budget: Budget, values: Any, _attribute: Any = None, start: Any = 0) -> int:
    """Numbers are added up in no time; of lists, each copies those before it."""
    return 0 if isinstance(start, int | float) else len(values) * budget.size(values)


def _digits(_budget: Budget, _value: Any, precision: int = 0, *_: Any, **__: Any) -> int:
    if abs(int(precision)) > _MAX_PRECISION:
        raise TemplateLimitError(f"it rounds to more than {_MAX_PRECISION} digits")
    return 0


def _json(_budget: Budget, _value: Any, *args: Any, **kwargs: Any) -> int:
    """The text is counted as it is written; here only what is written at each line."""
    indent = kwargs.get("indent", args[1] if len(args) > 1 else None)
    width = len(indent) if isinstance(indent, str) else int(indent or 0)
    if width > _MAX_PRECISION:
        raise TemplateLimitError(f"it indents JSON by more than {_MAX_PRECISION}")
    return 0


_Size = Callable[..., int]

_FILTER_SIZES: dict[str, _Size] = {
    "batch": _lists,
    "center": _width,
    "format": _printf,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "round": _digits,
    "slice": _lists,
    "sum": _sum,
    "tojson": _json,
    "urlize": _times_arguments,
    "wordwrap": _times_arguments,
    "xmlattr": _times_arguments,
}

_METHOD_SIZES: dict[str, _Size] = {
    "center": _width,
    "expandtabs": _tabs,
    "format": _format,
    "format_map": _format,
    "join": _join_method,
    "ljust": _width,
    "replace": _replace,
    "rjust": _width,
    "to_bytes": _width,
    "translate": _translate,
    "zfill": _width,
}
