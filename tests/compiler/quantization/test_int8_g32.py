"""int8-g32 against its definition in float64."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossc.compiler.quantization import int8_g32, mxfp4
from ossc.targets.errors import QuantizationError

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 70)), elements=FINITE))
def test_every_weight_is_within_half_a_scale(weight):
    codes, scales = int8_g32.quantize(weight)
    assert codes.shape == weight.shape
    assert scales.shape == (len(weight), -(-weight.shape[1] // 32))
    assert np.abs(codes.astype(int)).max() <= 127
    spread = np.repeat(scales.astype(np.float64), 32, axis=1)[:, : weight.shape[1]]
    error = np.abs(codes * spread - weight.astype(np.float64))
    assert (error <= spread * 0.5000001 + 1e-44).all()


@given(hnp.arrays(np.float32, (1, 32), elements=FINITE))
def test_the_scale_is_the_least_bfloat16_above_a_127th_of_the_largest(weight):
    scale = int8_g32.quantize(weight)[1].ravel()
    least = np.float64(np.abs(weight).max() / np.float32(127))
    assert np.float64(scale[0]) >= least
    below = np.nextafter(scale, ml_dtypes.bfloat16(-1))
    assert scale[0] == 0 or np.float64(below[0]) < least


def test_codes_round_half_to_even():
    weight = np.zeros((1, 32), np.float32)
    weight[0, :5] = [127, 0.5, 1.5, -0.5, -2.5]  # scale 1
    codes, scales = int8_g32.quantize(weight)
    assert scales.astype(np.float32).tolist() == [[1.0]]
    assert codes[0, :5].tolist() == [127, 0, 2, 0, -2]


def test_a_group_of_zeros_has_scale_zero():
    codes, scales = int8_g32.quantize(np.zeros((1, 33), np.float32))
    assert not codes.any()
    assert scales.astype(np.float32).tolist() == [[0.0, 0.0]]


def test_the_last_group_may_be_short():
    weight = np.full((1, 33), 1.0, np.float32)
    weight[0, 32] = 254.0
    codes, scales = int8_g32.quantize(weight)
    assert scales.astype(np.float32)[0, 1] == 2.0
    assert codes[0, 32] == 127
    assert int8_g32.dequantize(codes, scales, columns=33)[0, 32] == 254.0


def test_more_rows_than_one_turn_are_all_encoded():
    weight = np.random.default_rng(0).standard_normal((3, 2000, 96)).astype(np.float32)
    codes, scales = int8_g32.quantize(weight)
    last_codes, last_scales = int8_g32.quantize(weight[2, -1:])
    assert np.array_equal(codes[2, -1:], last_codes)
    assert np.array_equal(scales[2, -1:], last_scales)
    error = int8_g32.dequantize(codes, scales) - weight
    assert 44 < 10 * np.log10(np.square(weight).mean() / np.square(error).mean()) < 47


@given(
    hnp.arrays(np.uint8, (2, 3, 16)),
    hnp.arrays(np.uint8, (2, 3), elements=st.integers(0, 252)),
)
def test_mxfp4_converts_without_loss(blocks, scales):
    converted = int8_g32.from_mxfp4(blocks, scales)
    assert np.array_equal(int8_g32.dequantize(*converted), mxfp4.dequantize(blocks, scales))


def test_a_nan_scale_of_mxfp4_is_refused():
    with pytest.raises(QuantizationError, match="NaN"):
        int8_g32.from_mxfp4(np.zeros((1, 16), np.uint8), np.array([255], np.uint8))


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_weight_that_is_not_finite_is_refused(value):
    with pytest.raises(QuantizationError, match="infinite or NaN"):
        int8_g32.quantize(np.full((1, 5), value, np.float32))


def test_codes_and_scales_that_disagree_are_refused():
    codes, scales = int8_g32.quantize(np.ones((2, 64), np.float32))
    with pytest.raises(QuantizationError, match="one scale"):
        int8_g32.dequantize(codes, scales[:, :1])
