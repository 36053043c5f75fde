"""How the weights of a bundle are stored, as its manifest says it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ossc.runtimes.strict_json import StrictObject
from ossc.targets.errors import BundleError


@dataclass(frozen=True, kw_only=True)
class ExpertsScheme:
    """Some experts of a tensor, and their scheme."""

    experts: tuple[int, ...]
    """Rising."""
    scheme: str


TensorScheme = str | tuple[ExpertsScheme, ...]
"""A scheme, or several where experts of one tensor differ."""


@dataclass(frozen=True, kw_only=True)
class RuleEntry:
    """A rule of the quantization plan."""

    match: str
    """A tensor class, or a pattern of modules."""
    experts: tuple[int, ...] | None
    """Rising: only these of a weight; None: all of it."""
    scheme: str
    """Its name, or ``as-stored``."""


@dataclass(frozen=True, kw_only=True)
class QuantizationEntry:
    """How the weights are stored and multiplied."""

    preset: str
    activations: str
    rules: tuple[RuleEntry, ...]
    """Of several that are for a weight, the last counts."""
    tensors: Mapping[str, TensorScheme]
    """By the tensor's name."""


def schemes_of(tensor: TensorScheme) -> tuple[str, ...]:
    """Return the schemes that a tensor has, each once."""
    if isinstance(tensor, str):
        return (tensor,)
    return tuple(dict.fromkeys(part.scheme for part in tensor))


def read_quantization(fields: StrictObject) -> QuantizationEntry:
    """Read ``quantization``.

    Raises:
        BundleError: It is not valid.
    """
    entry = QuantizationEntry(
        preset=fields.text("preset"),
        activations=fields.text("activations"),
        rules=tuple(_rule(rule) for rule in fields.objects("rules")),
        tensors=_tensors(fields.object("tensors")),
    )
    fields.finish()
    return entry


def _rule(fields: StrictObject) -> RuleEntry:
    rule = RuleEntry(
        match=fields.text("match"),
        experts=fields.integers_or_none("experts"),
        scheme=fields.text("scheme"),
    )
    fields.finish()
    if rule.experts is not None and (not rule.experts or not _rise(rule.experts)):
        raise BundleError(
            f"The manifest's rule for {rule.match} lacks experts, or has them out of order; "
            "compile the model again."
        )
    return rule


def _rise(experts: tuple[int, ...]) -> bool:
    return experts == tuple(sorted(set(experts)))


def _tensors(fields: StrictObject) -> dict[str, TensorScheme]:
    return {
        name: _parts(name, fields.objects(name)) if fields.is_list(name) else fields.text(name)
        for name in fields.names()
    }


def _parts(name: str, parts: tuple[StrictObject, ...]) -> tuple[ExpertsScheme, ...]:
    schemes = tuple(_part(part) for part in parts)
    counts = Counter(expert for each in schemes for expert in each.experts)
    rising = all(each.experts == tuple(sorted(each.experts)) for each in schemes)
    if not schemes or not rising or not all(each.experts for each in schemes):
        raise BundleError(
            f"The manifest's schemes of {name} lack experts, or have them out of order; compile "
            "the model again."
        )
    expert, times = counts.most_common(1)[0]
    if times > 1:
        raise BundleError(
            f"The manifest gives expert {expert} of {name} {times} schemes; compile the model "
            "again."
        )
    return schemes


def _part(fields: StrictObject) -> ExpertsScheme:
    part = ExpertsScheme(experts=fields.integers("experts"), scheme=fields.text("scheme"))
    fields.finish()
    return part
