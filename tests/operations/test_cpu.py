"""The CPU's kernels: one node through lowering and flattening, and its steps run on this CPU."""

import pytest

from operations.case import Case
from operations.cases import CASES
from operations.conformance import BackendUnderTest, assert_close, expected
from operations.cpu_comparison import CHUNK, compare, node_runner, options
from ossc.compiler.backends.cpu.operations.attention import cache_capacity
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.quantization.plan import Activations
from ossc.runtimes.kv_type import KV_TYPES
from tolerances import ATTENTION

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

OTHER_ACTIVATIONS: dict[str, Activations] = {
    "Linear": "int8",
    "LinearGlu": "int8",
    "ExpertLinear": "f32",
    "ExpertGlu": "f32",
}
"""What meets codes in a model of the preset ``none`` (experts as stored) or of a plan of int8;
tests/compiler/backends/cpu/kernels has the products of all types with all schemes."""


def activation_types(case: Case) -> tuple[Activations, ...]:
    """Return the types in which activations meet the weight of a case, the usual one first."""
    reads_codes = case.weight is not None and find_format(case.weight[0]).integer_sums
    if not reads_codes or case.operation == "Embedding":
        return ("f32",)
    return ("int8x2", OTHER_ACTIVATIONS[case.operation]) if case.optional else ("int8x2",)


PAIRS = [
    pytest.param(
        case, activations, id=f"{case.id}-{activations}", marks=[pytest.mark.slow] if at else []
    )
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
    def compute() -> None:
        runner = node_runner(case, options(kv=kv))
        cached = {name: array for name, array in case.inputs(1, past=0).items() if "past" in name}
        past = 0
        for tokens in (*chunks(case.past), *STEPS):
            inputs = {**case.inputs(tokens, past), **cached}
            exact = expected(case, inputs)
            assert_close(runner.run(inputs, tokens), exact, ATTENTION[kv])
            cached = {f"past_{each}": exact[f"present_{each}"] for each in ("key", "value")}
            past += tokens

    CPU.judge(case, compute)


def chunks(tokens: int) -> list[int]:
    """Return the calls that fill a cache."""
    return [min(CHUNK, tokens - begin) for begin in range(0, tokens, CHUNK)]


@pytest.mark.parametrize("kv", KV_TYPES)
def test_each_type_of_caches_has_one_that_is_overwritten_and_one_that_is_not(kv):
    of_kv = [case for case, each in (param.values for param in CACHES) if each == kv]
    assert {case.past + sum(STEPS) > capacity(case) for case in of_kv} == {True, False}


def capacity(case: Case) -> int:
    return cache_capacity(options(), case.window)


def test_every_pattern_is_of_a_case():
    CPU.check_patterns(CASES)
