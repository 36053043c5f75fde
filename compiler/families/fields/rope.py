"""Rotary position embedding: its parameters as config.json gives them.

transformers 4 writes ``rope_theta`` beside a ``rope_scaling`` object; transformers 5 writes one
object, ``rope_parameters``. Names and defaults are those of ``transformers.modeling_rope_utils``.
Of two places that give a parameter it takes one without a word (``rope_scaling`` before
``rope_parameters``, ``rope_theta`` inside before the one beside,
``original_max_position_embeddings`` beside before the one inside), and other readers take the
other, so here the two have to agree.
YaRN: "YaRN: Efficient Context Window Extension of Large Language Models" (arXiv:2309.00071).
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Literal

from ossc.compiler.checkpoint.strict_json import JsonObject

_TYPE_FIELDS: dict[str, set[str]] = {
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

_FIELDS = {"partial_rotary_factor", "rope_theta", "rope_type", "type"}
"""Those of all; ``type`` is the older name of ``rope_type``."""

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


@dataclass(frozen=True, kw_only=True)
class RopeRules:
    """What one family's class makes of the parameters."""

    default_theta: float
    """Where no ``rope_theta`` is given."""
    required: bool = False
    """Whether one of the two objects has to be there; without them nothing is scaled."""
    query_scaling: bool = False
    """Whether ``llama_4_scaling_beta`` belongs to them."""


def read_rope_parameters(config: JsonObject, rules: RopeRules) -> RopeParameters:
    """Read the parameters from config.json, in either form or in both alike.

    Raises:
        ConfigError: They are missing, of a kind that is not supported, or contradict each other.
    """
    given = [name for name in ("rope_scaling", "rope_parameters") if config.fields.get(name)]
    if not given and rules.required:
        config.fail("gives neither 'rope_parameters' nor 'rope_scaling', one of which is needed")
    nothing = replace(config, fields={})
    objects = [config.section(name) for name in given] or [nothing]
    rope, *others = (_read(config, each, rules) for each in objects)
    for other in others:
        _require_equal(config, rope, other)
    return rope


def _read(config: JsonObject, rope: JsonObject, rules: RopeRules) -> RopeParameters:
    """Read one of the two objects, with what stands beside it."""
    theta = _theta(config, rope, rules.default_theta)
    if not 1 < theta < LARGEST_NUMBER:
        config.fail(f"has the rope_theta {theta}, which has to be between 1 and {LARGEST_NUMBER:g}")
    rope_type = _rope_type(rope)
    if rope_type not in _TYPE_FIELDS:
        known = ", ".join(map(repr, _TYPE_FIELDS))
        rope.fail(f"has the rope_type {rope_type!r}, but only {known} are supported")
    of_family = (
        {"llama_4_scaling_beta", "max_position_embeddings"} if rules.query_scaling else set()
    )
    _refuse_unknown(rope, _FIELDS | _TYPE_FIELDS[rope_type] | of_family)
    _refuse_partial_rotation(config, rope)
    read = {"linear": _read_linear, "llama3": _read_llama3, "yarn": _read_yarn}.get(rope_type)
    parameters = RopeParameters(rope_theta=theta, rope_type="default")
    if read is not None:
        parameters = read(config, rope, theta)
    if not rules.query_scaling:
        return parameters
    return replace(parameters, llama_4_scaling_beta=rope.number("llama_4_scaling_beta"))


def _require_equal(config: JsonObject, scaling: RopeParameters, parameters: RopeParameters) -> None:
    """Fail where the two objects describe different rotations."""
    for name, value in asdict(scaling).items():
        if (other := getattr(parameters, name)) != value:
            config.fail(
                f"contradicts itself: 'rope_scaling' gives the {name} {value} and "
                f"'rope_parameters' {other}; remove the object that does not hold"
            )


def _theta(config: JsonObject, rope: JsonObject, default_theta: float) -> float:
    """Return ``rope_theta``, which stands inside, beside, or in both places alike."""
    if "rope_theta" not in rope:
        absent = "rope_theta" not in config.fields
        return config.number("rope_theta", default_theta if absent else None)
    theta = rope.number("rope_theta")
    if (beside := config.number("rope_theta", theta)) != theta:
        config.fail(
            f"contradicts itself: 'rope_theta' {beside} differs from the {theta} among the "
            "parameters of the rotation"
        )
    return theta


def _rope_type(rope: JsonObject) -> str:
    """Return ``rope_type``, whose older name is ``type``."""
    rope_type = rope.text("rope_type", rope.text("type", "default"))
    if (older := rope.text("type", rope_type)) != rope_type:
        rope.fail(f"contradicts itself: 'type' {older!r} differs from 'rope_type' {rope_type!r}")
    return rope_type


def _refuse_unknown(rope: JsonObject, known: set[str]) -> None:
    """Fail on a parameter that would change the rotation in a way that is not computed here."""
    unknown = sorted(name for name in rope.fields if name in rope and name not in known)
    if unknown:
        rope.fail(f"has the parameter {unknown[0]!r}, which is not supported")


def _refuse_partial_rotation(config: JsonObject, rope: JsonObject) -> None:
    """Fail where only a part of each head is rotated."""
    for place in (rope, config):
        if (factor := place.number("partial_rotary_factor", 1.0)) != 1:
            place.fail(
                f"has the partial_rotary_factor {factor}, but only heads that are rotated as a "
                "whole, with 1.0, are supported"
            )


def _original_context(config: JsonObject, rope: JsonObject) -> int:
    """Return the pretraining's context, which stands inside, beside, or in both places alike."""
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
        original_max_position_embeddings=_original_context(config, rope),
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
        original_max_position_embeddings=_original_context(config, rope),
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
    if "mscale" in rope and "mscale_all_dim" in rope:
        mscale, all_dim = rope.number("mscale"), rope.number("mscale_all_dim")
        return _magnitude(factor, mscale) / _magnitude(factor, all_dim)
    for name in ("mscale", "mscale_all_dim"):
        if name in rope:
            rope.fail(f"gives {name!r} alone; it means something only beside the other one of two")
    return _magnitude(factor, 1.0)


def _magnitude(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0
