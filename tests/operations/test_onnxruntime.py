"""The dialect's own bodies, run by onnxruntime node by node."""

import numpy as np
import pytest

from operations.cases import CASES
from operations.conformance import TOKENS, BackendUnderTest, assert_close, expected
from operations.onnxruntime_runner import run
from ossc.compiler.dialect.call import as_call
from ossc.compiler.dialect.functions import build_function
from tolerances import FUNCTION

ONNXRUNTIME = BackendUnderTest(name="onnxruntime")
"""It runs everything: it is what all others are compared with in the tests of whole models."""


@pytest.mark.parametrize("tokens", TOKENS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_body_computes_its_operation(case, tokens):
    inputs = case.inputs(tokens)
    ONNXRUNTIME.judge(
        case, lambda: assert_close(run(case, inputs), expected(case, inputs), FUNCTION)
    )


def test_every_pattern_is_of_a_case():
    ONNXRUNTIME.check_patterns(CASES)


IN_BATCHES = [case for case in CASES if "position_ids" in case.shapes or case.operation == "Rope"]


@pytest.mark.parametrize("case", IN_BATCHES, ids=lambda case: case.id)
def test_sequences_of_a_batch_do_not_see_each_other(case):
    sequences = [case.inputs(5), case.inputs(5)]
    for name in sequences[1].keys() - {"position_ids"}:
        if not case.is_constant(name):
            sequences[1][name] = sequences[1][name][..., ::-1].copy()
    both = {
        name: array
        if case.is_constant(name)
        else np.concatenate([sequence[name] for sequence in sequences])
        for name, array in sequences[0].items()
    }
    results = run(case, both)
    for index, sequence in enumerate(sequences):
        own = {name: np.split(array, 2)[index] for name, array in results.items()}
        assert_close(own, expected(case, sequence), FUNCTION)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_function_has_the_ports_that_the_operation_states(case):
    (node,) = case.model(case.inputs(1)).graph
    call = as_call(node)
    function, operation = build_function(call), case.definition
    given = [name for name, _ in (*operation.inputs, *operation.optional) if name in call.inputs]
    if operation.weight is not None:
        at = operation.weight.index
        given[at:at] = [part.name for part in call.format.parts]
    assert [value.name for value in function.inputs] == given
    assert [value.name for value in function.outputs] == [name for name, _ in operation.outputs]
    assert set(function.attributes) == set(case.attributes)
    assert (function.domain, function.overload) == ("ossc", node.overload)


REPEATED = np.array([[4, 0], [1, 1], [2, 3]])
"""A choice that no router makes, but a function takes."""

OF_EXPERTS = [case for case in CASES if case.experts == 5 and case.shapes["indices"] == ("T", 2)]


@pytest.mark.parametrize("case", OF_EXPERTS, ids=lambda case: case.id)
def test_a_token_may_choose_an_expert_twice(case):
    inputs = {**case.inputs(3), "indices": REPEATED}
    assert_close(run(case, inputs), expected(case, inputs), FUNCTION)


def test_equal_logits_go_to_the_lower_index():
    (case,) = [case for case in CASES if case.zeros == ("weight", "bias")]
    results = run(case, case.inputs(4))
    assert results["indices"].tolist() == [[0, 1, 2]] * 4
    np.testing.assert_allclose(results["weights"], 1 / 3, rtol=FUNCTION)
