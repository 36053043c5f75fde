"""Which scheme each weight gets, and whether activations are quantized too.

A plan is a preset by name, or a TOML file; what the file leaves out is as in ``default``::

    activations = "f32"

    [schemes]
    dense = "bf16"
    "model.layers.0.*" = "int8-g32"
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

from ossc.compiler.quantization import all_schemes, find_scheme
from ossc.targets.errors import QuantizationError, UnknownNameError

Activations = Literal["f32", "int8", "int8x2"]
"""Type of a matrix product's activations: float32, or integers with one scale per 32 elements, of
one int8 term (8 bits) or two (15 bits)."""

TensorClass = Literal["experts", "dense", "embedding", "head"]
"""``dense`` is every matrix outside the experts but the embedding, the head and the router."""

TENSOR_CLASSES: tuple[TensorClass, ...] = get_args(TensorClass)

AS_STORED = "as-stored"
"""In place of a scheme's name: the form in which the checkpoint holds the tensor."""


@dataclass(frozen=True, kw_only=True)
class QuantizationPlan:
    """The scheme of each weight, by name. Routers, norms, sinks and biases stay float."""

    name: str
    """The preset, or the TOML file's name without its ending."""
    schemes: Mapping[str, str]
    """Rules: a tensor class, or a pattern of modules such as ``model.layers.0.*``, and the scheme
    of the weights that it is for, or ``as-stored``. Of several that match, the last counts; every
    class has one."""
    activations: Activations

    def scheme_of(self, module: str, tensor_class: TensorClass) -> str:
        """Return the scheme of a weight, or ``as-stored``."""
        matching = [
            scheme
            for rule, scheme in self.schemes.items()
            if (fnmatchcase(module, rule) if is_pattern(rule) else rule == tensor_class)
        ]
        return matching[-1]

    def with_schemes(self, **schemes: str) -> "QuantizationPlan":
        """Return the plan with other schemes for some classes."""
        return replace(self, schemes={**self.schemes, **schemes})


def is_pattern(rule: str) -> bool:
    """Tell whether a rule is for modules whose names match it, and not for a class."""
    return any(character in rule for character in ".*?[")


_DEFAULT = QuantizationPlan(
    name="default",
    schemes={
        "experts": "mxfp4",
        "dense": "int8-g32",
        "embedding": "int8-g32",
        "head": "int8-g32",
    },
    activations="int8x2",
)
_SMALL = replace(_DEFAULT.with_schemes(dense="int4-g32", head="int4-g32"), name="small")
_NONE = QuantizationPlan(
    name="none", schemes=dict.fromkeys(TENSOR_CLASSES, AS_STORED), activations="f32"
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
    _refuse_unknown(path, document, ("activations", "schemes"))
    schemes = document.get("schemes", {})
    if not isinstance(schemes, dict):
        raise QuantizationError(f"{path}: schemes must be a table, [schemes], not {schemes!r}.")
    _refuse_unknown(path, [key for key in schemes if not is_pattern(key)], TENSOR_CLASSES)
    for rule, name in schemes.items():
        _check_scheme(path, rule, name)
    activations = document.get("activations", _DEFAULT.activations)
    if activations not in get_args(Activations):
        raise QuantizationError(
            f'{path}: activations must be "f32", "int8" or "int8x2", not {activations!r}.'
        )
    # What the file says comes after the defaults, in its own order.
    rest = {rule: scheme for rule, scheme in _DEFAULT.schemes.items() if rule not in schemes}
    return QuantizationPlan(name=path.stem, schemes={**rest, **schemes}, activations=activations)


def _refuse_unknown(path: Path, table: Iterable[str], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise QuantizationError(f"{path}: {UnknownNameError('plan key', key, known)}")


def _check_scheme(path: Path, rule: str, name: object) -> None:
    if not isinstance(name, str):
        raise QuantizationError(f"{path}: {rule} must name a scheme, not {name!r}.")
    if name == AS_STORED:
        return
    try:
        find_scheme(name)
    except UnknownNameError as error:
        raise QuantizationError(f"{path}: {rule}: {error}") from error
