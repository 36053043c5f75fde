"""The list of cases has what the dialect has, and each case tells what it is there to tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from operations import dequantized
from operations.case import FLOATS, Case
from operations.cases import CASES
from operations.conformance import expected
from operations.reference import REFERENCES
from ossc.compiler.backends import backend_kinds
from ossc.compiler.dialect import all_operations
from ossc.compiler.quantization import all_schemes
from ossc.compiler.storage import storage_formats
from ossc.targets.errors import QuantizationError

OPERATIONS = list(all_operations().values())
FORMATS = {each.name: each for each in all_schemes()} | {
    each.name: each.format for each in storage_formats()
}


def cases_of(operation: str) -> list[Case]:
    return [case for case in CASES if case.operation == operation]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_has_cases_with_and_without_each_optional_input(operation):
    cases = cases_of(operation.name)
    assert cases
    assert operation.name in REFERENCES
    for name, _ in operation.optional:
        assert {name in case.optional for case in cases} == {True, False}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_has_a_case_of_each_variant(operation):
    used = {variant for case in cases_of(operation.name) for variant in case.variants}
    assert used == set(operation.variants)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_has_a_case_of_each_format_of_weights(operation):
    weights = [case for case in cases_of(operation.name) if case.weight]
    used = {case.weight[0] for case in weights if not case.division}
    assert used == (set(FORMATS) if operation.weight else set())


OF_EXPERTS = [each for each in OPERATIONS if each.weight and each.weight.tensor_class == "experts"]


@pytest.mark.parametrize("operation", OF_EXPERTS, ids=lambda operation: operation.name)
def test_experts_have_cases_of_several_schemes(operation):
    """Of codes, of floats, of both, of three, and of one expert that is not as the others."""
    divisions = [case.division for case in cases_of(operation.name) if case.division]
    kinds = {frozenset(each in ("bf16", "f16", "f32") for each in set(d)) for d in divisions}
    assert kinds == {frozenset({True}), frozenset({False}), frozenset({True, False})}
    assert {len(set(division)) for division in divisions} == {2, 3}
    alone = [d for d in divisions if 1 in {d.count(scheme) for scheme in d} and len(d) == 33]
    assert alone


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_small_tensors_of_every_operation_are_of_each_type_of_floats(operation):
    with_small = [c for c in cases_of(operation.name) if any(map(c.is_constant, c.shapes))]
    ports = (*operation.inputs, *operation.optional)
    has_some = any(description.startswith("float ") for _, description in ports)
    assert {case.floats for case in with_small} <= set(FLOATS)
    if has_some and operation.name != "Attention":  # whose sinks RopeAttention has in each type
        assert {case.floats for case in with_small} == set(FLOATS)


def test_every_format_has_columns_that_are_no_whole_groups_if_it_takes_them():
    for name, each in FORMATS.items():
        columns = {case.weight[1][-1] for case in CASES if case.weight and case.weight[0] == name}
        assert name in dequantized.FORMATS
        if all(k % 32 == 0 for k in columns):
            with pytest.raises(QuantizationError):
                each.part_shapes((8, 34))


def test_no_two_cases_have_the_same_id():
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)


WITH_OPTIONAL = [
    case
    for case in CASES
    if case.optional and (case.window != 1 or case.optional != ("query_scale",))
]
"""All, but a token's softmax of one key, whose score does not matter."""


@pytest.mark.parametrize("case", WITH_OPTIONAL, ids=lambda case: case.id)
def test_each_optional_input_changes_what_a_case_computes(case):
    inputs = case.inputs(5)
    whole = expected(case, inputs)
    for name in case.optional:
        if name in case.zeros:
            continue
        without = {other: array for other, array in inputs.items() if other != name}
        if name == "up":  # without it, x has other columns
            without["x"] = np.repeat(inputs["x"], 2, axis=-1)
        others = expected(case, without)
        assert not all(np.allclose(whole[key], others[key]) for key in whole)


@pytest.mark.parametrize(
    "case", [c for c in CASES if "swiglu_oss" in c.variants], ids=lambda case: case.id
)
def test_gates_and_ups_exceed_the_limit(case):
    unlimited = replace(case, attributes={**case.attributes, "limit": np.inf})
    inputs = case.inputs(5)
    assert not np.allclose(expected(case, inputs)["y"], expected(unlimited, inputs)["y"])


def test_windows_hide_keys_and_are_longer_than_what_there_is_to_see():
    for operation in ("Attention", "RopeAttention"):
        windows = {(case.window, case.past + 5 > case.window) for case in cases_of(operation)}
        assert {hides for window, hides in windows if window} == {True, False}
        assert any(window == 0 for window, _ in windows)


NOWHERE_TO_RUN = {"cuda"}
"""Kinds whose devices no machine of the tests has. CUDA's kernels are those of OpenCL;
tests/compiler/backends/cuda compiles them all to machine code, and looks at it."""


def test_every_backend_has_a_file_here():
    files = {path.stem for path in Path(__file__).parent.glob("test_*.py")}
    assert {f"test_{kind}" for kind in backend_kinds()} - files == {
        f"test_{kind}" for kind in NOWHERE_TO_RUN
    }
