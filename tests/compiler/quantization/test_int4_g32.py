"""int4-g32 against its definition in float64."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossc.compiler.quantization import int4_g32
from ossc.targets.errors import QuantizationError

WEIGHTS = st.floats(-(2.0**126), 2.0**126, width=32)


def unpack(codes: np.ndarray) -> np.ndarray:
    """Return the codes ``[..., K]`` as integers from -8 to 7."""
    nibbles = np.stack([codes & 15, codes >> 4], axis=-1)
    return nibbles.reshape(*codes.shape[:-1], -1).astype(int) - 8


def error(group: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """Return the sum of squared errors of weights ``[..., 32]``."""
    return np.square(decoded.astype(float) - group).sum(axis=-1)


@given(
    hnp.arrays(
        np.float32, st.tuples(st.integers(1, 3), st.sampled_from([2, 32, 34, 70])), elements=WEIGHTS
    )
)
def test_every_code_is_the_nearest_for_its_scale(weight):
    codes, scales = int4_g32.quantize(weight)
    assert codes.shape == (len(weight), weight.shape[1] // 2)
    assert scales.shape == (len(weight), -(-weight.shape[1] // 32))
    spread = np.repeat(scales.astype(np.float64), 32, axis=1)[:, : weight.shape[1]]
    spread[spread == 0] = 1
    wanted = np.clip(weight.astype(np.float64) / spread, -8, 7)
    distance = np.abs(unpack(codes) - wanted)
    tiny = np.abs(weight) < 1e-37  # their scale is no normal number, and coarse
    assert ((distance <= 0.500001) | tiny).all()  # the quotient is rounded to float32


def test_codes_round_half_to_even():
    weight = np.tile(np.float32([-8, 7, -7, 6, -6, 5, -5, 4]), 4)[None]
    weight[0, 16:18] = [0.5, 1.5]  # few, so that a scale of 1 is the best
    codes, scales = int4_g32.quantize(weight)
    assert scales.astype(np.float32).tolist() == [[1.0]]
    assert unpack(codes)[0, 14:20].tolist() == [-5, 4, 0, 2, -7, 6]


@pytest.mark.parametrize("largest", [8.0, -8.0])
def test_the_largest_magnitude_gets_a_negative_code(largest):
    weight = np.linspace(-1, 1, 32, dtype=np.float32)[None]
    weight[0, 3] = largest
    codes, scales = int4_g32.quantize(weight)
    assert unpack(codes)[0, 3] == -8
    assert np.sign(scales.astype(np.float32)[0, 0]) == -np.sign(largest)


def test_the_low_nibble_is_the_even_weight():
    weight = np.zeros((1, 32), np.float32)
    weight[0, 2:4] = [-8, 3]
    codes, scales = int4_g32.quantize(weight)
    factor = 1 / scales.astype(np.float32)[0, 0]
    assert codes[0, 1] == round(-8 * factor + 8) | round(3 * factor + 8) << 4
    assert (np.delete(codes[0], 1) == 0x88).all()


def test_the_scale_is_nearly_the_best_of_all():
    groups = np.random.default_rng(0).standard_normal((200, 32)).astype(np.float32)
    steps = np.linspace(4, 16, 500)
    scales = np.abs(groups).max(axis=1) / np.append(steps, -steps)[:, None]  # [1000, 200]
    codes = np.clip(np.rint(groups / scales[:, :, None]), -8, 7)
    best = error(groups, codes * scales[:, :, None]).min(axis=0)
    found = error(groups, int4_g32.dequantize(*int4_g32.quantize(groups)))
    assert found.sum() < 1.02 * best.sum()


def test_gaussian_weights_keep_22_db_also_beyond_one_turn():
    weight = np.random.default_rng(0).standard_normal((3, 2000, 96)).astype(np.float32)
    codes, scales = int4_g32.quantize(weight)
    last_codes, last_scales = int4_g32.quantize(weight[2, -1:])
    assert np.array_equal(codes[2, -1:], last_codes)
    assert np.array_equal(scales[2, -1:], last_scales)
    noise = int4_g32.dequantize(codes, scales) - weight
    assert 21.7 < 10 * np.log10(np.square(weight).mean() / np.square(noise).mean()) < 21.9


@given(
    hnp.arrays(np.int8, (2, 64), elements=st.integers(-8, 7)),
    hnp.arrays(np.float32, (2, 2), elements=st.floats(2.0**-60, 2.0**60, width=32)),
)
def test_groups_that_use_the_code_minus_8_are_found_again(codes, scales):
    codes[:, ::32] = -8
    scales = scales.astype(ml_dtypes.bfloat16)
    weight = codes * np.repeat(scales.astype(np.float32), 32, axis=1)
    np.testing.assert_array_equal(int4_g32.dequantize(*int4_g32.quantize(weight)), weight)


def test_a_group_of_zeros_has_scale_zero():
    codes, scales = int4_g32.quantize(np.zeros((1, 34), np.float32))
    assert (codes == 0x88).all()
    assert scales.astype(np.float32).tolist() == [[0.0, 0.0]]


def test_the_last_group_may_be_short():
    weight = np.full((1, 34), 1.0, np.float32)
    weight[0, 32:] = [-16.0, 6.0]
    codes, scales = int4_g32.quantize(weight)
    assert scales.astype(np.float32)[0].tolist() == [-0.125, 2.0]
    assert int4_g32.dequantize(codes, scales, columns=34).tolist() == weight.tolist()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 2.0**127, -(2.0**127)])
def test_a_weight_that_does_not_fit_is_refused(value):
    weight = np.ones((2, 40), np.float32)
    weight[1, 35] = value
    with pytest.raises(QuantizationError, match="infinite, NaN or beyond"):
        int4_g32.quantize(weight)


def test_rows_of_an_odd_length_are_refused():
    with pytest.raises(QuantizationError, match="even number of weights, not 37; choose int8-g32"):
        int4_g32.quantize(np.zeros((2, 37), np.float32))


def test_codes_and_scales_that_disagree_are_refused():
    codes, scales = int4_g32.quantize(np.ones((2, 64), np.float32))
    with pytest.raises(QuantizationError, match="16 bytes need one scale"):
        int4_g32.dequantize(codes, scales[:, :1])
    with pytest.raises(QuantizationError, match="rows of 63 weights"):
        int4_g32.dequantize(codes, scales, columns=63)
