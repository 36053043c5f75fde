"""Whether the rules of a quantization plan are for weights and experts that a model has."""

import re
from collections.abc import Iterable, Sequence

from ossc.compiler.dialect.call import Call
from ossc.compiler.quantization.plan import QuantizationPlan
from ossc.compiler.quantization.rules import Rule
from ossc.targets.errors import QuantizationError


def check_rules(plan: QuantizationPlan, calls: Iterable[Call]) -> None:
    """Refuse rules for what is not there.

    Args:
        plan: Its patterns have to match, and the experts that it names have to exist.
        calls: All nodes of the model.

    Raises:
        QuantizationError: One does not; it names what there is.
    """
    weights = [call for call in calls if call.tensor_class is not None]
    for rule in plan.rules:
        matching = [call for call in weights if _covers(rule, call)]
        if rule.is_pattern and not matching:
            raise QuantizationError(
                f"The pattern {rule.match!r} of the plan {plan.name} matches no weight; those of "
                f"this model are {', '.join(_in_all_layers(weights))}."
            )
        if rule.experts is not None:
            of_experts = [call for call in matching if call.tensor_class == "experts"]
            _check_experts(plan, rule, rule.experts, of_experts)


def experts_of(call: Call) -> int:
    """Return how many experts a weight ``[E, N, K]`` has."""
    assert call.format is not None
    shapes = tuple(tuple(part.shape.numpy()) for part in call.parts if part.shape)
    return call.format.weight_shape(shapes)[0]


def _covers(rule: Rule, call: Call) -> bool:
    return call.tensor_class is not None and rule.covers(call.name, call.tensor_class)


def _check_experts(
    plan: QuantizationPlan, rule: Rule, experts: Sequence[int], calls: Sequence[Call]
) -> None:
    if not calls:
        raise QuantizationError(
            f"The rule {rule.match!r} of the plan {plan.name} is for some experts, and matches no "
            "weight of experts; leave its experts out, or match modules that have some."
        )
    for call in calls:
        if experts[-1] >= experts_of(call):
            raise QuantizationError(
                f"The rule {rule.match!r} of the plan {plan.name} names expert {experts[-1]}, and "
                f"{call.name} has {experts_of(call)} experts; name some of 0 to "
                f"{experts_of(call) - 1}."
            )


def _in_all_layers(calls: Iterable[Call]) -> list[str]:
    """Return the names of modules, each once for all layers, as a pattern writes them."""
    return list(dict.fromkeys(re.sub(r"\.\d+\.", ".*.", call.name) for call in calls))
