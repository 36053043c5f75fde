"""Which scheme each weight gets, and whether activations are quantized too.

A plan is a preset by name, or a TOML file; what the file leaves out is as in ``default``::

    activations = "f32"

    [schemes]
    dense = "bf16"
    "model.layers.0.*" = "int8-g32"

    [[rules]]
    match = "model.layers.1.*"
    experts = [3, "8-11"]
    scheme = "bf16"
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from ossc.compiler.quantization import all_schemes
from ossc.compiler.quantization.rules import (
    AS_STORED,
    TENSOR_CLASSES,
    Rule,
    TensorClass,
    read_rule,
    read_rules,
    refuse_unknown,
    rules_of,
)
from ossc.targets.errors import QuantizationError, UnknownNameError

Activations = Literal["f32", "int8", "int8x2"]
"""Type of a matrix product's activations: float32, or integers with one scale per 32 elements, of
one int8 term (8 bits) or two (15 bits)."""


@dataclass(frozen=True, kw_only=True)
class QuantizationPlan:
    """The scheme of each weight, by name. Routers, norms, sinks and biases stay float."""

    name: str
    """The preset, or the TOML file's name without its ending."""
    rules: tuple[Rule, ...]
    """Of several that match, the last counts; every class has one."""
    activations: Activations

    @property
    def schemes(self) -> dict[str, str]:
        """The scheme of each class and pattern, without those of single experts."""
        return {rule.match: rule.scheme for rule in self.rules if rule.experts is None}

    def scheme_of(self, module: str, tensor_class: TensorClass, expert: int | None = None) -> str:
        """Return the scheme of a weight or of one of its experts, or ``as-stored``."""
        matching = [
            rule.scheme
            for rule in self.rules
            if rule.covers(module, tensor_class)
            and (rule.experts is None or expert in rule.experts)
        ]
        return matching[-1]

    def with_schemes(self, **schemes: str) -> "QuantizationPlan":
        """Return the plan with other schemes for some classes."""
        whole = [rule for rule in self.rules if rule.experts is None]
        rest = [rule for rule in self.rules if rule.experts is not None]
        changed = {rule.match: rule.scheme for rule in whole} | schemes
        return replace(self, rules=(*rules_of(changed), *rest))


_DEFAULT = QuantizationPlan(
    name="default",
    rules=rules_of(
        {
            "experts": "mxfp4",
            "dense": "int8-g32",
            "embedding": "int8-g32",
            "head": "int8-g32",
        }
    ),
    activations="int8x2",
)
_SMALL = replace(_DEFAULT.with_schemes(dense="int4-g32", head="int4-g32"), name="small")
_NONE = QuantizationPlan(
    name="none", rules=rules_of(dict.fromkeys(TENSOR_CLASSES, AS_STORED)), activations="f32"
)


def presets() -> dict[str, QuantizationPlan]:
    """Return every preset by name; a scheme's name means experts in it, the rest as in default."""
    by_scheme = [
        replace(_DEFAULT.with_schemes(experts=scheme.name), name=scheme.name)
        for scheme in all_schemes()
    ]
    return {plan.name: plan for plan in (_NONE, _DEFAULT, _SMALL, *by_scheme)}


def load_plan(preset_or_path: str) -> QuantizationPlan:
    """Return a preset by its name, or read a plan from a TOML file.

    Args:
        preset_or_path: Such as ``"default"`` or ``"plans/mine.toml"``.

    Raises:
        UnknownNameError: Neither a preset nor a ``.toml`` file.
        QuantizationError: The file is missing or not a plan.
    """
    if preset_or_path.endswith(".toml"):
        return _read_plan(Path(preset_or_path))
    known = presets()
    if preset_or_path not in known:
        raise UnknownNameError("quantization preset", preset_or_path, known)
    return known[preset_or_path]


def _read_plan(path: Path) -> QuantizationPlan:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise QuantizationError(f"Cannot read the plan {path}: {error.strerror}.") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise QuantizationError(f"{path} is not a TOML file: {error}.") from error
    refuse_unknown(path, document, ("activations", "schemes", "rules"))
    schemes = document.get("schemes", {})
    if not isinstance(schemes, dict):
        raise QuantizationError(f"{path}: schemes must be a table, [schemes], not {schemes!r}.")
    whole = tuple(read_rule(path, match, scheme) for match, scheme in schemes.items())
    activations = document.get("activations", _DEFAULT.activations)
    if activations not in get_args(Activations):
        raise QuantizationError(
            f'{path}: activations must be "f32", "int8" or "int8x2", not {activations!r}.'
        )
    # What the file says comes after the defaults, in its own order.
    rest = tuple(rule for rule in _DEFAULT.rules if rule.match not in schemes)
    rules = (*rest, *whole, *read_rules(path, document.get("rules", [])))
    return QuantizationPlan(name=path.stem, rules=rules, activations=activations)
