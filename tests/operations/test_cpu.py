"""The CPU's kernels: one node through lowering and flattening, and its steps run on this CPU."""

import numpy as np
import pytest

from operations.case import Arrays, Case
from operations.cases import CASES
from operations.conformance import TOKENS, BackendUnderTest, assert_close, expected
from operations.reference import rounded
from operations.segment_runner import TARGET, NodeRunner
from ossc.compiler.backends.cpu.operations.attention import cache_capacity
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.quantization.plan import Activations
from ossc.runtimes.kv_type import KV_TYPES, KvType
from tolerances import ATTENTION, PRODUCT

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

CONTEXT, CHUNK = 100, 8
"""Positions of full caches, and the largest chunk: a ring of a short window has 32 positions."""


def options(activations: Activations = "f32", kv: KvType = "f32") -> LoweringOptions:
    return LoweringOptions(
        target=TARGET, activations=activations, context=CONTEXT, prefill_chunk=CHUNK, kv=kv
    )


def node_runner(case: Case, options: LoweringOptions) -> NodeRunner:
    (node,) = case.model(case.inputs(1)).graph
    return NodeRunner(node, options)


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
    def compute() -> None:
        runner = node_runner(case, options(activations))
        for tokens in TOKENS:
            inputs = case.inputs(tokens)
            results = runner.run(as_int32(inputs), tokens)
            assert results.keys() == {name for name, _ in case.definition.outputs}
            meant = inputs
            if activations != "f32":
                meant = {**inputs, "x": rounded(inputs["x"], activations)}
            assert_close(results, expected(case, meant), PRODUCT)

    CPU.judge(case, compute)


def as_int32(inputs: Arrays) -> Arrays:
    """Return the inputs with chosen experts in the type in which our router gives them."""
    return {
        name: array.astype(np.int32) if name == "indices" else array
        for name, array in inputs.items()
    }


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
