"""Families of operations: each has one colour on all plots."""

from typing import Literal, get_args

Family = Literal["experts", "linear", "attention", "routing", "small"]

FAMILIES: dict[Family, str] = {
    "experts": "experts",
    "linear": "dense products and head",
    "attention": "attention",
    "routing": "routing",
    "small": "norms, quantization, the rest",
}
"""What a legend calls them."""

_WORDS: list[tuple[str, Family]] = [
    ("router", "routing"),
    ("group_by", "routing"),
    ("combine", "routing"),
    ("expert", "experts"),
    ("attention", "attention"),
    ("linear", "linear"),
]
"""The first word that an operation's name has decides."""

assert FAMILIES.keys() == set(get_args(Family))


def family(operation: str) -> Family:
    """Return the family of an operation."""
    return next((name for word, name in _WORDS if word in operation), "small")
