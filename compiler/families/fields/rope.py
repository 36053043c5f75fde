"""Rotary position embedding: its parameters as config.json gives them.

transformers 4 writes ``rope_theta`` beside a ``rope_scaling`` object; transformers 5 writes one
object, ``rope_parameters``. Names and defaults are those of ``transformers.modeling_rope_utils``.
Of two places that give a parameter it takes one without a word (``rope_scaling`` before
``rope_parameters``, ``rope_theta`` inside before the one beside,
``original_max_position_embeddings`` beside before the one inside), and other readers take the
other, so here the two have to agree.
"""

from dataclasses import asdict, dataclass, replace

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.families.fields.rope_types import (
    LARGEST_NUMBER,
    TYPE_FIELDS,
    RopeParameters,
    is_zero,
    read_original_context,
    read_type,
)

_FIELDS = {"partial_rotary_factor", "rope_theta", "rope_type", "type"}
"""Those of all; ``type`` is the older name of ``rope_type``."""

QUERY_FIELDS = {
    "llama_4_scaling_beta",
    "max_position_embeddings",
    "original_max_position_embeddings",
}
"""Those of families that scale their queries, with every type; the second one has no effect."""


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
    if rope_type not in TYPE_FIELDS:
        known = ", ".join(map(repr, TYPE_FIELDS))
        rope.fail(f"has the rope_type {rope_type!r}, but only {known} are supported")
    of_family = QUERY_FIELDS if rules.query_scaling else set()
    _refuse_unknown(rope, rope_type, _FIELDS | TYPE_FIELDS[rope_type] | of_family)
    _refuse_partial_rotation(config, rope)
    parameters = read_type(config, rope, rope_type, theta)
    return _scaling_queries(config, rope, parameters) if rules.query_scaling else parameters


def _scaling_queries(
    config: JsonObject, rope: JsonObject, parameters: RopeParameters
) -> RopeParameters:
    """Add how queries are scaled, which takes the original context with every type."""
    if is_zero(rope, "llama_4_scaling_beta"):
        return parameters
    return replace(
        parameters,
        llama_4_scaling_beta=rope.number("llama_4_scaling_beta"),
        original_max_position_embeddings=read_original_context(config, rope),
    )


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


def _refuse_unknown(rope: JsonObject, rope_type: str, known: set[str]) -> None:
    """Fail on a parameter that would change the rotation in a way that is not computed here."""
    unknown = sorted(name for name in rope.fields if name in rope and name not in known)
    if unknown:
        rope.fail(
            f"has the parameter {unknown[0]!r}, which is not supported with the rope_type "
            f"{rope_type!r}; remove it if it is not meant"
        )


def _refuse_partial_rotation(config: JsonObject, rope: JsonObject) -> None:
    """Fail where only a part of each head is rotated."""
    for place in (rope, config):
        if (factor := place.number("partial_rotary_factor", 1.0)) != 1:
            place.fail(
                f"has the partial_rotary_factor {factor}, but only heads that are rotated as a "
                "whole, with 1.0, are supported"
            )
