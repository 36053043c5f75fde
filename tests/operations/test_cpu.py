"""The CPU's kernels: one node through lowering and flattening, and its steps run on this CPU."""

from dataclasses import replace

import pytest

from operations.case import Case
from operations.cases import CASES
from operations.conformance import BackendUnderTest
from operations.node_comparison import compare, compare_over_cache, node_runner, options
from ossc.compiler.backends.cpu.operations.attention import cache_capacity
from ossc.compiler.backends.cpu.weights import find_formats
from ossc.compiler.quantization.plan import Activations
from ossc.runtimes.kv_type import KV_TYPES
from ossc.targets.errors import LoweringError

CPU = BackendUnderTest(
    name="cpu",
    unsupported={
        "Rope/*": "queries and keys are rotated where they are stored: FuseRopeAttention",
        "Attention/*": "attention has kernels with the rotation before it: FuseRopeAttention",
        "Glu/*": "a gate has kernels with the product before it: FuseGlu",
        "ExpertLinear/*transposed*": "kernels read rows: TransposeExperts",
        "ExpertLinear/*shared*": "one vector for all experts of a token has kernels with a gate "
        "after the product: FuseGlu",
    },
)

OTHER_ACTIVATIONS: dict[str, tuple[str, Activations]] = {
    "Linear": ("int4-g32", "int8"),
    "LinearGlu": ("int8-g32", "int8"),
    "ExpertLinear": ("mxfp4", "f32"),
    "ExpertGlu": ("mxfp4", "f32"),
}
"""What meets codes in a model of the preset ``none`` (experts as stored) or of a plan of int8, and
the format with which an operation is lowered for it here: tests/compiler/backends/cpu/kernels has
the products of all types with all schemes."""


def activation_types(case: Case) -> tuple[Activations, ...]:
    """Return the types in which activations meet the weight of a case, the usual one first."""
    if case.operation not in OTHER_ACTIVATIONS or not reads_codes(case):
        return ("f32",)
    scheme, other = OTHER_ACTIVATIONS[case.operation]
    assert case.weight is not None, "it has codes"
    return ("int8x2", other) if case.optional and case.weight[0] == scheme else ("int8x2",)


def reads_codes(case: Case) -> bool:
    try:
        return case.weight is not None and any(
            each.integer_sums for each in find_formats(case.weight[0])
        )
    except LoweringError:  # a form of storage for which there are no kernels
        return False


def marks(case: Case, at: int) -> list[pytest.MarkDecorator]:
    """Let each mixture of experts be computed by one of its two operations: the one with biases."""
    return [pytest.mark.slow] if at or (case.division and not case.optional) else []


PAIRS = [
    pytest.param(case, activations, id=f"{case.id}-{activations}", marks=marks(case, at))
    for case in CASES
    if case.operation != "RopeAttention"
    for at, activations in enumerate(activation_types(case))
]


@pytest.mark.parametrize(("case", "activations"), PAIRS)
def test_a_node_computes_its_operation(case, activations):
    CPU.judge(case, lambda: compare(case, activations))


OVER_CACHES = [case for case in CASES if case.operation == "RopeAttention"]

STEPS = (1, 5, 1, 8, 1, 1, 7, 8, 1, 8, 3, 1)
"""Tokens of one call after another: more than a ring of a short window holds."""

CACHES = [pytest.param(case, "f32", id=f"{case.id}-f32") for case in OVER_CACHES] + [
    pytest.param(case, kv, id=f"{case.id}-{kv}", marks=pytest.mark.slow)
    for case, kv in zip(
        [case for case in OVER_CACHES if case.past], ("f16", "int8", "f16", "int8"), strict=True
    )
]


@pytest.mark.parametrize(("case", "kv"), CACHES)
def test_attention_sees_the_cache_that_the_calls_before_it_left(case, kv):
    CPU.judge(case, lambda: compare_over_cache(case, options(kv=kv), STEPS))


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 530])
def test_a_token_that_sees_hundreds_of_keys_shares_them_among_threads(window):
    case = next(case for case in OVER_CACHES if case.optional == ("sinks", "query_scale"))
    long = replace(case, past=1100, attributes={**case.attributes, "window": window})
    large = replace(options(), context=1200, prefill_chunk=64)
    compare_over_cache(long, large, (1, 1, 3, 1))
    labels = [step.label for step in node_runner(long, large).decode.steps]
    assert "node/join_sections" in labels


@pytest.mark.parametrize("kv", KV_TYPES)
def test_each_type_of_caches_has_one_that_is_overwritten_and_one_that_is_not(kv):
    of_kv = [case for case, each in (param.values for param in CACHES) if each == kv]
    assert {case.past + sum(STEPS) > capacity(case) for case in of_kv} == {True, False}


def capacity(case: Case) -> int:
    return cache_capacity(options(), case.window)


def test_every_pattern_is_of_a_case():
    CPU.check_patterns(CASES)
