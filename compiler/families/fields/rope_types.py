"""The types of rotation: the parameters of each, and what they mean where they are absent.

Names and defaults are those of ``transformers.modeling_rope_utils``.
YaRN: "YaRN: Efficient Context Window Extension of Large Language Models" (arXiv:2309.00071).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ossc.compiler.checkpoint.strict_json import JsonObject

TYPE_FIELDS: dict[str, set[str]] = {
    "default": set(),
    "linear": {"factor"},
    "llama3": {
        "factor",
        "high_freq_factor",
        "low_freq_factor",
        "original_max_position_embeddings",
    },
    "yarn": {
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "factor",
        "mscale",
        "mscale_all_dim",
        "original_max_position_embeddings",
        "truncate",
    },
}
"""The parameters of each type of rotation."""

LARGEST_NUMBER = 1e30
"""Far above any real parameter; float32 still holds it."""


@dataclass(frozen=True, kw_only=True)
class RopeParameters:
    """Rotary position embedding; a field that a type has not is what changes nothing."""

    rope_theta: float
    rope_type: Literal["default", "linear", "llama3", "yarn"]
    factor: float = 1.0
    """By how much the context is extended."""

    original_max_position_embeddings: int = 0
    """Context length of the pretraining."""

    low_freq_factor: float = 1.0
    """llama3: turns over the original context below which a frequency is divided by ``factor``."""

    high_freq_factor: float = 4.0
    """llama3: turns above which it stays as it is."""

    beta_fast: float = 32.0
    """YaRN: turns over the original context above which a frequency stays as it is."""

    beta_slow: float = 1.0
    """YaRN: turns below which a frequency is divided by ``factor``."""

    truncate: bool = True
    """YaRN: whether the bounds of the ramp between the two are rounded to whole dimensions."""

    attention_factor: float = 1.0
    """Multiplies cos and sin."""

    llama_4_scaling_beta: float = 0.0
    """Queries at position p are multiplied by 1 + beta ln(1 + floor(p / original context))."""


def read_original_context(config: JsonObject, rope: JsonObject) -> int:
    """Return the pretraining's context, which stands inside, beside, or in both places alike.

    Raises:
        ConfigError: It is in neither place, or they contradict each other.
    """
    name = "original_max_position_embeddings"
    if name not in config:
        return rope.integer(name)
    beside = config.integer(name)
    if (inside := rope.integer(name, beside)) != beside:
        config.fail(
            f"contradicts itself: {name!r} {beside} differs from the {inside} among the "
            "parameters of the rotation"
        )
    return beside


def is_zero(rope: JsonObject, name: str) -> bool:
    """Whether a parameter is 0, for those where that means as much as being absent."""
    return type(rope.fields.get(name)) in (int, float) and rope.fields[name] == 0


def _truncate(rope: JsonObject) -> bool:
    """Return ``truncate``; null, unlike an absent one, is false in the reference."""
    if "truncate" in rope.fields and "truncate" not in rope:
        return False
    return rope.flag("truncate", True)


def _read_linear(_config: JsonObject, rope: JsonObject, theta: float) -> RopeParameters:
    return RopeParameters(rope_theta=theta, rope_type="linear", factor=_factor(rope))


def _read_llama3(config: JsonObject, rope: JsonObject, theta: float) -> RopeParameters:
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    if high <= low:
        rope.fail(f"has high_freq_factor {high}, which has to be above low_freq_factor {low}")
    return RopeParameters(
        rope_theta=theta,
        rope_type="llama3",
        factor=_factor(rope),
        original_max_position_embeddings=read_original_context(config, rope),
        low_freq_factor=low,
        high_freq_factor=high,
    )


def _read_yarn(config: JsonObject, rope: JsonObject, theta: float) -> RopeParameters:
    factor = _factor(rope)
    beta_fast, beta_slow = rope.number("beta_fast", 32.0), rope.number("beta_slow", 1.0)
    if beta_fast < beta_slow:
        rope.fail(f"has beta_fast {beta_fast}, which must not be below beta_slow {beta_slow}")
    return RopeParameters(
        rope_theta=theta,
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=read_original_context(config, rope),
        beta_fast=beta_fast,
        beta_slow=beta_slow,
        truncate=_truncate(rope),
        attention_factor=_attention_factor(rope, factor),
    )


def _factor(rope: JsonObject) -> float:
    factor = rope.number("factor")
    if not 1 <= factor < LARGEST_NUMBER:
        rope.fail(f"has the factor {factor}, which has to be from 1 to {LARGEST_NUMBER:g}")
    return factor


def _attention_factor(rope: JsonObject, factor: float) -> float:
    """Return YaRN's factor: given, or the ratio of the two scales, or the paper's formula."""
    if "attention_factor" in rope:
        return rope.number("attention_factor")
    scales = {
        name: rope.number(name)
        for name in ("mscale", "mscale_all_dim")
        if name in rope and not is_zero(rope, name)
    }
    if len(scales) == 2:
        return _magnitude(factor, scales["mscale"]) / _magnitude(factor, scales["mscale_all_dim"])
    if scales and scales != {"mscale": 1.0}:
        ((name, value),) = scales.items()
        rope.fail(
            f"gives {name!r} as {value} without the other one of 'mscale' and 'mscale_all_dim', "
            "which readers understand differently; give both, or remove it"
        )
    return _magnitude(factor, 1.0)


def _magnitude(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0


_READERS: Mapping[str, Callable[[JsonObject, JsonObject, float], RopeParameters]] = {
    "linear": _read_linear,
    "llama3": _read_llama3,
    "yarn": _read_yarn,
}
"""``(config.json, the parameters, rope_theta)``; a type without one has no parameters."""


def read_type(config: JsonObject, rope: JsonObject, rope_type: str, theta: float) -> RopeParameters:
    """Read the parameters of one type.

    Args:
        config: config.json, where one of them may stand.
        rope: The object of the parameters.
        rope_type: One of :data:`TYPE_FIELDS`.
        theta: ``rope_theta``.

    Raises:
        ConfigError: One is missing, of the wrong type or out of range.
    """
    read = _READERS.get(rope_type)
    if read is None:
        return RopeParameters(rope_theta=theta, rope_type="default")
    return read(config, rope, theta)
