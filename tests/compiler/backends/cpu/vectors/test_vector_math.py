"""Exponentials and the normal distribution against float64, on all CPUs alike."""

import math

import numpy as np
import pytest

import tolerances
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.vectors.vector_math import exp, exp_of_negative, normal_tail
from ossc.compiler.lowering.kernel import building
from ossc.runtimes.kernel_cost import Work

COUNT = 1 << 16


@pytest.fixture
def exponential(run):
    """Return a function that applies the kernels' exp to ``COUNT`` numbers."""
    return _applied(run, "exp_of_many", exp)


@pytest.fixture
def exponential_of_negative(run):
    """The same for the exponential of numbers that are not positive."""
    return _applied(run, "exp_of_many_negative", exp_of_negative)


def _applied(run, name, exponential):
    with building(name, None) as function:
        x = function.buffer("x", "float32", COUNT)
        y = function.buffer("y", "float32", COUNT)
        with function.tasks(fixed=COUNT // v.LANES) as task:
            v.store(y, task * v.LANES, value=exponential(v.load(x, task * v.LANES)))

    kernel = function.kernel("exp", "f32", Work())

    def apply(numbers, cpu="x86-64-v3"):
        padded = np.resize(np.asarray(numbers, np.float32), COUNT)
        (result,) = run(kernel, [padded], [("float32", (COUNT,))], cpu=cpu)
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


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v2"])
def test_exp_of_negative_numbers_is_exact_relative_to_one(exponential_of_negative, cpu):
    x, y = exponential_of_negative(np.random.default_rng(2).uniform(-100, 0, COUNT), cpu)
    exact = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(y, exact, rtol=0, atol=1.3 * 2.0**-24)
    relative = np.abs(y / exact - 1)[x > -87]
    assert relative.max() < 2.0**-24 * 100


@pytest.mark.parametrize(
    ("x", "expected"), [(0, 1), (-0.0, 1), (-np.inf, 0), (-1e30, 0), (-88.1, 0), (np.nan, np.nan)]
)
def test_exp_of_negative_numbers_at_the_ends(exponential_of_negative, x, expected):
    _, y = exponential_of_negative([x])
    np.testing.assert_array_equal(y, np.full(COUNT, expected, np.float32))


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v2"])
@pytest.mark.parametrize("high", [12.5, 1.0])
def test_the_tail_of_the_normal_distribution_has_the_error_of_its_exponential(run, high, cpu):
    x, y = _applied(run, "normal_tail_of_many", normal_tail)(
        np.random.default_rng(3).uniform(0, high, COUNT), cpu
    )
    x = x.astype(np.float64)
    exact = np.array([math.erfc(each / math.sqrt(2)) / 2 for each in x])
    steps = np.abs(y / exact - 1) * 2.0**24
    assert (steps <= 8 + x * x / 2).all()


@pytest.mark.parametrize(("x", "expected"), [(0, 0.5), (15, 0), (np.inf, 0), (np.nan, np.nan)])
def test_the_tail_of_the_normal_distribution_at_the_ends(run, x, expected):
    _, y = _applied(run, "normal_tail_of_many", normal_tail)([x])
    np.testing.assert_allclose(y, np.full(COUNT, expected, np.float32), rtol=2.0**-22)
