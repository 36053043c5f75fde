"""The lists of a backend are strict in both directions."""

import numpy as np
import pytest

from operations.cases import CASES
from operations.conformance import BackendUnderTest, assert_close
from ossc.targets.errors import LoweringError

ROPE = next(case for case in CASES if case.operation == "Rope")
NORM = next(case for case in CASES if case.operation == "RmsNorm")


def well() -> None:
    """Compute what is wanted."""


def refused() -> None:
    raise LoweringError("no kernel")


def wrong() -> None:
    raise AssertionError("off")


BACKEND = BackendUnderTest(
    name="toy",
    unsupported={"Rope/*": "no kernel"},
    expected_failures={"RmsNorm/*": "it forgets epsilon"},
)


@pytest.mark.parametrize(("case", "compute"), [(ROPE, refused), (NORM, wrong), (CASES[0], well)])
def test_what_is_listed_is_no_failure(case, compute):
    BACKEND.judge(case, compute)


@pytest.mark.parametrize(
    ("case", "compute", "failure"),
    [
        pytest.param(ROPE, well, "lowers Rope/.* lists as unsupported: no kernel", id="lowered"),
        pytest.param(ROPE, wrong, "off", id="lowered-and-wrong"),
        pytest.param(NORM, well, "which it expects to fail: it forgets epsilon", id="right"),
        pytest.param(CASES[0], wrong, "off", id="wrong"),
    ],
)
def test_what_is_not_as_listed_is_a_failure(case, compute, failure):
    with pytest.raises((AssertionError, pytest.fail.Exception), match=failure):
        BACKEND.judge(case, compute)


@pytest.mark.parametrize("case", [NORM, CASES[0]], ids=lambda case: case.id)
def test_what_is_refused_and_not_listed_is_an_error(case):
    with pytest.raises(LoweringError):
        BACKEND.judge(case, refused)


def test_a_pattern_that_no_case_has_is_a_failure():
    BACKEND.check_patterns(CASES)
    stale = BackendUnderTest(name="toy", unsupported={"Softcap/*": "no kernel"})
    with pytest.raises(AssertionError, match="no case is like Softcap"):
        stale.check_patterns(CASES)


def test_a_case_in_both_lists_is_a_failure():
    both = BackendUnderTest(
        name="toy", unsupported={"Rope/*": "a"}, expected_failures={"Rope/*": "b"}
    )
    with pytest.raises(AssertionError, match="is listed as unsupported and as a failure"):
        both.check_patterns(CASES)


def test_results_are_close_relative_to_the_largest_and_integers_are_equal():
    exact = {"y": np.array([100.0, 0.0]), "i": np.array([1, 2])}
    assert_close({"y": np.array([100.0, 1e-5])}, exact, 1e-6)
    for actual in (
        {"y": np.array([100.0, 1e-3])},
        {"y": np.array([np.nan, 0.0])},
        {"y": np.array([[100.0, 0.0]])},
        {"i": np.array([1, 3])},
        {},
    ):
        with pytest.raises(AssertionError):
            assert_close(actual, exact, 1e-6)
