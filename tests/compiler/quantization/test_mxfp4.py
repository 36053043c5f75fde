"""MXFP4 against its specification in float64, and against ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossc.compiler.quantization import mxfp4
from ossc.targets.errors import QuantizationError

FINITE = st.floats(-(2.0**100), 2.0**100, width=32)


@pytest.mark.parametrize(
    ("code", "scale", "value"),
    [
        pytest.param(0x1, 127, 0.5, id="smallest"),
        pytest.param(0x7, 127, 6.0, id="largest"),
        pytest.param(0xF, 128, -12.0, id="negative-doubled"),
        pytest.param(0x2, 0, 2.0**-127, id="least-scale"),
        pytest.param(0x2, 254, 2.0**127, id="greatest-scale"),
        pytest.param(0x0, 200, 0.0, id="zero"),
    ],
)
def test_each_code_is_its_value_times_the_scale(code, scale, value):
    blocks = np.full((1, 16), code << 4 | code, np.uint8)
    assert mxfp4.dequantize(blocks, np.array([scale], np.uint8)).tolist() == [value] * 32


def test_a_scale_of_255_is_nan():
    blocks = np.full((1, 16), 0x11, np.uint8)
    assert np.isnan(mxfp4.dequantize(blocks, np.array([255], np.uint8))).all()


def test_the_low_nibble_is_the_even_element():
    blocks = np.zeros((1, 16), np.uint8)
    blocks[0, 1] = 0x72  # elements 2 and 3
    weight = mxfp4.dequantize(blocks, np.array([127], np.uint8))
    assert weight[2:4].tolist() == [1.0, 6.0]
    assert np.count_nonzero(weight) == 2


def reference_quantize(group: np.ndarray) -> tuple[np.ndarray, int]:
    """Encode one group in float64: the nearest code of all 16, a tie to the even one."""
    largest = np.abs(group).max()
    exponent = max(int(np.floor(np.log2(largest))) - 2, -127) if largest else 0
    scaled = np.abs(group.astype(np.float64)) * 2.0**-exponent
    values = mxfp4.CODE_VALUES[:8].astype(np.float64)
    distance = np.abs(scaled[:, None] - values)
    odd_last = distance + np.arange(8) % 2 * 1e-12  # an even code wins a tie
    return odd_last.argmin(axis=1) | np.signbit(group) << 3, exponent + 127


@given(hnp.arrays(np.float32, (3, 64), elements=st.integers(-400, 400).map(lambda i: i / 64)))
def test_codes_are_the_nearest_with_ties_to_even(weight):
    blocks, scales = mxfp4.quantize(weight)
    codes = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(6, 32)
    for group, code, scale in zip(weight.reshape(6, 32), codes, scales.ravel(), strict=True):
        expected_codes, expected_scale = reference_quantize(group)
        assert code.tolist() == expected_codes.tolist()
        assert scale == expected_scale


@given(hnp.arrays(np.float32, (2, 32), elements=FINITE))
def test_codes_agree_with_the_rounding_of_ml_dtypes(weight):
    blocks, scales = mxfp4.quantize(weight)
    scaled = np.ldexp(weight, 127 - scales[:, 0].astype(np.int32)[:, None])
    expected = np.clip(scaled, -6, 6).astype(ml_dtypes.float4_e2m1fn).astype(np.float32)
    decoded = mxfp4.dequantize(blocks, np.full_like(scales, 127))
    assert np.array_equal(decoded, expected)


@given(
    hnp.arrays(np.uint8, (2, 3, 16)),
    hnp.arrays(np.uint8, (2, 3), elements=st.integers(4, 250)),
)
def test_quantizing_decoded_blocks_gives_the_same_values(blocks, scales):
    weight = mxfp4.dequantize(blocks, scales)
    assert np.array_equal(mxfp4.dequantize(*mxfp4.quantize(weight)), weight)


def test_a_block_of_zeros_has_scale_one():
    blocks, scales = mxfp4.quantize(np.zeros((1, 32), np.float32))
    assert scales.tolist() == [[127]]
    assert not blocks.any()


def test_more_blocks_than_one_turn_are_all_encoded():
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((2, 8200, 32)).astype(np.float32)
    blocks, scales = mxfp4.quantize(weight)
    assert blocks.shape == (2, 8200, 1, 16)
    last_blocks, last_scales = mxfp4.quantize(weight[1, -1:])
    assert np.array_equal(blocks[1, -1:], last_blocks)
    assert np.array_equal(scales[1, -1:], last_scales)
    error = mxfp4.dequantize(blocks, scales) - weight
    assert 18 < 10 * np.log10(np.square(weight).mean() / np.square(error).mean()) < 20


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_weight_that_is_not_finite_is_refused(value):
    weight = np.ones((1, 32), np.float32)
    weight[0, 5] = value
    with pytest.raises(QuantizationError, match="infinite or NaN"):
        mxfp4.quantize(weight)


def test_rows_that_are_no_multiple_of_32_are_refused():
    with pytest.raises(QuantizationError, match="multiple of 32 weights, not 48"):
        mxfp4.quantize(np.zeros((2, 48), np.float32))


def test_blocks_and_scales_that_disagree_are_refused():
    with pytest.raises(QuantizationError, match="do not hold rows"):
        mxfp4.dequantize(np.zeros((2, 3, 16), np.uint8), np.zeros((2, 2), np.uint8))
    with pytest.raises(QuantizationError, match="do not hold rows of 95"):
        mxfp4.dequantize(np.zeros((3, 16), np.uint8), np.zeros(3, np.uint8), columns=95)
