"""Predictions for gpt-oss-20b against what was once measured, and that every term is needed.

``measured_20b.json`` is of 2 cores of an AMD EPYC of family 26 (Zen 5), whose memory gave 42 to
48 GB/s in most figures and 79 in one; ``tests/benchmarks/record_prediction.py`` made it of
profiles (docs/performance-log.md).
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from gpt_oss_20b import all_layers, lower_two_layers
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.profile.prediction.efficiency import find_efficiencies
from ossc.runtimes.profile.prediction.predict import PhaseTime, TimeModel
from ossc.runtimes.profile.roofline import Roofline
from tolerances import PREDICTED_KERNEL, PREDICTED_PHASE


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A median token at a depth, or a prompt of a length."""

    phase: str
    tokens: int
    ms: float
    operations_ms: dict[str, float]
    """Of operations that take at least a twentieth of the time."""
    roofline: Roofline


RECORDED = json.loads(Path(__file__).with_name("measured_20b.json").read_text())
MEASURED = [msgspec.convert(entry, Measured, str_keys=True) for entry in RECORDED]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    lowered = lower_two_layers(tmp_path_factory.mktemp("model"))
    return all_layers(lowered.plans["f32"]), lowered.costs


def predicted(plan, costs, measured: Measured) -> PhaseTime:
    model = TimeModel(plan, costs, measured.roofline, find_efficiencies(measured.roofline.isa))
    prediction = model.predict(prompt_tokens=measured.tokens, depth=measured.tokens)
    return prediction.decode if measured.phase == "decode" else prediction.prefill


def operation_ms(phase: PhaseTime, operation: str) -> float:
    return sum(kernel.ms for kernel in phase.kernels if kernel.cost.operation == operation)


def errors(plan, costs) -> list[float]:
    """How far every prediction is off, over what is allowed."""
    result = []
    for measured in MEASURED:
        phase = predicted(plan, costs, measured)
        result.append(abs(phase.ms / measured.ms - 1) / PREDICTED_PHASE)
        for operation, ms in measured.operations_ms.items():
            ours = operation_ms(phase, operation)
            result.append(abs(ours / ms - 1) / PREDICTED_KERNEL)
    return result


def test_predictions_are_near_what_was_measured(bundle):
    assert max(errors(*bundle)) <= 1


def constant(costs, term, field):
    """Give every kernel the same amount in one term: the mean over those that have any."""
    amounts = [getattr(getattr(cost, term), field) for cost in costs.values()]
    mean = sum(amounts) // sum(amount > 0 for amount in amounts)
    return {
        name: replace(cost, **{term: replace(getattr(cost, term), **{field: mean})})
        for name, cost in costs.items()
    }


@pytest.mark.parametrize(
    ("term", "field"),
    [
        pytest.param("bytes", "fixed", id="dense-weights"),
        pytest.param("bytes", "per_expert", id="experts"),
        pytest.param("bytes", "per_key", id="keys"),
        pytest.param("operations", "per_token", id="operations"),
    ],
)
def test_a_constant_in_the_place_of_a_term_is_not_near(bundle, term, field):
    plan, costs = bundle
    assert max(errors(plan, constant(costs, term, field))) > 1


def test_constant_bytes_and_operations_are_not_near(bundle):
    plan, costs = bundle
    same = {
        name: replace(cost, bytes=Work(fixed=8_000_000), operations=Work(per_token=20_000_000))
        for name, cost in costs.items()
    }
    assert max(errors(plan, same)) > 1
