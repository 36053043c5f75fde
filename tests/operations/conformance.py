"""How a backend's results are judged, and what it may not do.

A backend lists the cases that it refuses and those that it gets wrong, each with a reason. Both
lists are strict: a case that is listed and computed after all is a failure, and so is a pattern
that no case has.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import pytest

from operations.case import Arrays, Case
from operations.reference import REFERENCES
from ossc.targets.errors import LoweringError

TOKENS = (1, 5)
"""Numbers of tokens for which each case is computed."""


@dataclass(frozen=True, kw_only=True)
class BackendUnderTest:
    """What a backend says of itself; patterns are those of file names, on the cases' ids."""

    name: str
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """``{pattern: reason}`` of cases for which it raises LoweringError."""
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    """``{pattern: reason}`` of cases for which it computes something else."""

    def judge(self, case: Case, compute: Callable[[], None]) -> None:
        """Run a comparison, which has to end as the lists say.

        Args:
            case: What is computed.
            compute: Raises LoweringError or AssertionError, or returns where all is well.
        """
        refused = _match(self.unsupported, case)
        wrong = _match(self.expected_failures, case)
        try:
            compute()
        except LoweringError:
            if refused is None:
                raise
            return
        except AssertionError:
            if wrong is None:
                raise
            return
        if refused:
            pytest.fail(f"{self.name} lowers {case.id}, which it lists as unsupported: {refused}")
        if wrong:
            pytest.fail(f"{self.name} computes {case.id}, which it expects to fail: {wrong}")

    def check_patterns(self, cases: Iterable[Case]) -> None:
        """Fail where a pattern fits no case, or two lists fit the same one."""
        ids = [case.id for case in cases]
        for pattern in (*self.unsupported, *self.expected_failures):
            assert any(fnmatchcase(each, pattern) for each in ids), f"no case is like {pattern}"
        for each in ids:
            in_both = [any(fnmatchcase(each, p) for p in patterns) for patterns in
                       (self.unsupported, self.expected_failures)]  # fmt: skip
            assert not all(in_both), f"{each} is listed as unsupported and as a failure"


def _match(patterns: Mapping[str, str], case: Case) -> str | None:
    return next((why for pattern, why in patterns.items() if fnmatchcase(case.id, pattern)), None)


def expected(case: Case, inputs: Arrays) -> Arrays:
    """Return the outputs in float64, by name."""
    variants = {"variants": case.variants} if case.definition.variants else {}
    results = REFERENCES[case.operation](**case.exact(inputs), **case.attributes, **variants)
    names = [name for name, _ in case.definition.outputs]
    return dict(zip(names, results, strict=True))


def assert_close(actual: Arrays, exact: Arrays, tolerance: float) -> None:
    """Compare outputs: integers exactly, others relative to the largest value of each."""
    assert actual
    for name, array in actual.items():
        wanted = exact[name]
        assert array.shape == wanted.shape, name
        if wanted.dtype.kind == "i":
            np.testing.assert_array_equal(array, wanted, err_msg=name)
        else:
            largest = np.abs(wanted).max() or 1.0
            error = np.abs(array.astype(np.float64) - wanted).max() / largest
            assert error <= tolerance, f"{name} is off by {error:.1e} of its largest value"
