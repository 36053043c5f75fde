"""The read rate of a working set, between and beyond the sizes that were measured."""

import pytest

from ossc.targets.roofline import Roofline

ROOFLINE = Roofline(
    source="test",
    isa="avx2",
    threads=1,
    read_gb_per_s={1 << 10: 160.0, 1 << 20: 40.0, 1 << 30: 10.0},
    f32_gflops=100.0,
    int8_gops=400.0,
    launch_ns=1000.0,
)


@pytest.mark.parametrize(
    ("size_bytes", "rate"),
    [
        pytest.param(0, 160, id="nothing"),
        pytest.param(1 << 10, 160, id="smallest"),
        pytest.param(1 << 15, 80, id="half-way"),
        pytest.param(1 << 20, 40, id="middle"),
        pytest.param(1 << 22, 40 / 4**0.2, id="a-fifth-of-the-way"),
        pytest.param(1 << 30, 10, id="largest"),
        pytest.param(float("inf"), 10, id="beyond"),
    ],
)
def test_the_rate_is_interpolated_by_logarithms(size_bytes, rate):
    assert ROOFLINE.read_rate(size_bytes) == pytest.approx(rate, rel=1e-12)
