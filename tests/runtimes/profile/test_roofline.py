"""The limits of a call, against figures worked out by hand."""

from dataclasses import replace

import pytest

from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.profile.roofline import Bound, Limits, Roofline, bound, limits

KIB, GIB = 1 << 10, 1 << 30

ROOFLINE = Roofline(
    source="test",
    isa="avx2",
    threads=2,
    read_gb_per_s={KIB: 100.0, GIB: 20.0},
    f32_gflops=50.0,
    int8_gops=200.0,
    launch_ns=3000.0,
)
MATRIX = KernelCost(
    operation="linear",
    scheme="mxfp4",
    arithmetic="int8",
    bytes=Work(fixed=40_000_000, per_token=KIB),
    operations=Work(per_token=1_000_000),
)


def test_weights_come_at_the_rate_of_memory_and_activations_at_that_of_their_size():
    times = limits(MATRIX, MATRIX.call(1, 0), ROOFLINE)
    assert times == Limits(
        memory_ms=pytest.approx(40e6 / 20e6 + KIB / 100e6),
        f32_ms=0,
        int8_ms=pytest.approx(1e6 / 200e6),
        launch_ms=pytest.approx(0.003),
    )


def test_weights_that_stay_in_a_cache_come_at_its_rate():
    times = limits(MATRIX, MATRIX.call(1, 0), ROOFLINE, working_set=KIB)
    assert times.memory_ms == pytest.approx((40e6 + KIB) / 100e6)


@pytest.mark.parametrize(
    ("arithmetic", "expected"),
    [
        pytest.param("f32", (20.0, 0), id="f32"),
        pytest.param("int8", (0, 5.0), id="int8"),
        pytest.param("int8x2", (0, 10.0), id="int8x2-multiplies-twice"),
    ],
)
def test_operations_count_against_the_limit_of_their_arithmetic(arithmetic, expected):
    cost = replace(MATRIX, arithmetic=arithmetic)
    times = limits(cost, cost.call(1000, 0), ROOFLINE)
    assert (times.f32_ms, times.int8_ms) == pytest.approx(expected)


def test_a_copy_has_no_limit_of_arithmetic():
    cost = replace(MATRIX, arithmetic="copy", operations=Work())
    times = limits(cost, cost.call(1, 0), ROOFLINE)
    assert (times.f32_ms, times.int8_ms) == (0, 0)


@pytest.mark.parametrize(
    ("tokens", "cost", "expected"),
    [
        pytest.param(1, MATRIX, Bound(name="memory", ms=2.00001024), id="memory"),
        pytest.param(1000, MATRIX, Bound(name="int8", ms=5), id="int8"),
        pytest.param(1000, replace(MATRIX, arithmetic="f32"), Bound(name="f32", ms=20), id="float"),
        pytest.param(1, replace(MATRIX, bytes=Work()), Bound(name="int8", ms=0.005), id="no-bytes"),
        pytest.param(
            0, replace(MATRIX, bytes=Work()), Bound(name="launch", ms=0.003), id="no-tokens"
        ),
    ],
)
def test_the_limit_that_takes_longest_is_the_bound(tokens, cost, expected):
    result = bound(cost, replace(MATRIX.call(1, 0), tokens=tokens), ROOFLINE)
    assert (result.name, result.ms) == (expected.name, pytest.approx(expected.ms))
