"""Rotary position embedding: its parameters as config.json gives them.

transformers 4 writes ``rope_theta`` beside a ``rope_scaling`` object; transformers 5 writes one
object, ``rope_parameters``. Names and defaults are those of ``transformers.modeling_rope_utils``.
YaRN: "YaRN: Efficient Context Window Extension of Large Language Models" (arXiv:2309.00071).
"""

import math
from dataclasses import dataclass
from typing import Literal

from ossc.compiler.strict_json import JsonObject

_YARN_FIELDS = {
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "factor",
    "original_max_position_embeddings",
    "truncate",
}
_FIELDS = {"rope_theta", "rope_type", "type"}
"""``type`` is the older name of ``rope_type``."""

LARGEST_NUMBER = 1e30
"""Far above any real parameter; float32 still holds it."""


@dataclass(frozen=True, kw_only=True)
class RopeParameters:
    """Rotary position embedding; the fields after ``rope_type`` are YaRN's."""

    rope_theta: float
    rope_type: Literal["default", "yarn"]
    factor: float = 1.0
    """By how much YaRN extends the context."""

    original_max_position_embeddings: int = 0
    """Context length of the pretraining."""

    beta_fast: float = 32.0
    """Rotations over the original context above which a frequency stays as it is."""

    beta_slow: float = 1.0
    """Rotations below which a frequency is divided by ``factor``."""

    truncate: bool = True
    """Whether the bounds of the ramp between the two are rounded to whole dimensions."""

    attention_factor: float = 1.0
    """Multiplies cos and sin."""


def read_rope_parameters(config: JsonObject) -> RopeParameters:
    """Read the parameters from config.json, in either form.

    Raises:
        ConfigError: They are missing, of a kind that is not supported, or contradict each other.
    """
    if "rope_parameters" in config:
        rope = config.section("rope_parameters")
    elif "rope_scaling" in config:
        rope = config.section("rope_scaling")
    else:
        config.fail("gives neither 'rope_parameters' nor 'rope_scaling', one of which is needed")
    theta = _theta(config, rope)
    if not 1 < theta < LARGEST_NUMBER:
        config.fail(f"has the rope_theta {theta}, which has to be between 1 and {LARGEST_NUMBER:g}")
    rope_type = rope.text("rope_type", rope.text("type", "default"))
    if rope_type not in ("default", "yarn"):
        rope.fail(f"has the rope_type {rope_type!r}, but only 'default' and 'yarn' are supported")
    _refuse_unknown(rope, _FIELDS | (_YARN_FIELDS if rope_type == "yarn" else set()))
    if rope_type == "default":
        return RopeParameters(rope_theta=theta, rope_type="default")
    return _read_yarn(rope, theta)


def _theta(config: JsonObject, rope: JsonObject) -> float:
    """Return ``rope_theta``, which stands inside, beside, or in both places alike."""
    if "rope_theta" not in rope:
        return config.number("rope_theta")
    theta = rope.number("rope_theta")
    if config.number("rope_theta", theta) != theta:
        config.fail("contradicts itself: 'rope_theta' differs from the one among the parameters")
    return theta


def _refuse_unknown(rope: JsonObject, known: set[str]) -> None:
    """Fail on a parameter that would change the rotation in a way that is not computed here."""
    unknown = sorted(name for name in rope.fields if name in rope and name not in known)
    if unknown == ["partial_rotary_factor"] and rope.fields["partial_rotary_factor"] == 1:
        return
    if unknown:
        rope.fail(f"has the parameter {unknown[0]!r}, which is not supported")


def _read_yarn(rope: JsonObject, theta: float) -> RopeParameters:
    factor = rope.number("factor")
    beta_fast, beta_slow = rope.number("beta_fast", 32.0), rope.number("beta_slow", 1.0)
    if not 1 <= factor < LARGEST_NUMBER:
        rope.fail(f"has the factor {factor}, which has to be from 1 to {LARGEST_NUMBER:g}")
    if beta_fast <= beta_slow:
        rope.fail(f"has beta_fast {beta_fast}, which has to be above beta_slow {beta_slow}")
    return RopeParameters(
        rope_theta=theta,
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=rope.integer("original_max_position_embeddings"),
        beta_fast=beta_fast,
        beta_slow=beta_slow,
        truncate=rope.flag("truncate", True),
        attention_factor=rope.number("attention_factor", 0.1 * math.log(factor) + 1.0),
    )
