"""The exponential against float64, on all CPUs alike."""

import numpy as np
import pytest

import tolerances
from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import building
from ossc.compiler.lowering.kernels.vector_math import exp

COUNT = 1 << 16


@pytest.fixture
def exponential(run):
    """Return a function that applies the kernels' exp to ``COUNT`` numbers."""
    with building("exp_of_many", None) as function:
        x = function.buffer("x", "float32", COUNT)
        y = function.buffer("y", "float32", COUNT)
        with function.tasks(fixed=COUNT // v.LANES) as task:
            v.store(y, task * v.LANES, value=exp(v.load(x, task * v.LANES)))

    def apply(numbers, cpu="x86-64-v3"):
        padded = np.resize(np.asarray(numbers, np.float32), COUNT)
        (result,) = run(function.kernel(), [padded], [("float32", (COUNT,))], cpu=cpu)
        return padded, result

    return apply


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v2"])
@pytest.mark.parametrize(("low", "high"), [(-87.3, 88.7), (-1, 1), (-1e-3, 1e-3)])
def test_exp_is_within_two_units_in_the_last_place(exponential, low, high, cpu):
    x, y = exponential(np.random.default_rng(0).uniform(low, high, COUNT), cpu)
    exact = np.exp(x.astype(np.float64))
    units = np.abs(y - exact) / np.spacing(exact.astype(np.float32))
    assert units.max() <= tolerances.EXP_ULP


def test_exp_of_results_that_are_not_normal(exponential):
    x, y = exponential(np.random.default_rng(1).uniform(-110, -87, COUNT))
    smallest = 2.0**-149
    np.testing.assert_allclose(y, np.exp(x.astype(np.float64)), rtol=0, atol=smallest)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        pytest.param(0, 1, id="zero"),
        pytest.param(-np.inf, 0, id="minus-infinity"),
        pytest.param(-1e30, 0, id="very-negative"),
        pytest.param(-104.5, 0, id="below-the-smallest"),
        pytest.param(88.8, np.inf, id="above-the-largest"),
        pytest.param(np.inf, np.inf, id="infinity"),
        pytest.param(np.nan, np.nan, id="nan"),
    ],
)
def test_exp_at_the_ends(exponential, x, expected):
    _, y = exponential([x])
    np.testing.assert_array_equal(y, np.full(COUNT, expected, np.float32))
