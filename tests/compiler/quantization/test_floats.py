"""The schemes of float types: bf16 against the bits of float32, the others against NumPy."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossc.compiler.quantization import (
    find_float_scheme,
    find_scheme,
    float_schemes,
    is_float,
)
from ossc.targets.errors import QuantizationError

TYPES = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32}


def float32_arrays(largest: float) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float32, (2, 5), elements=st.floats(-largest, largest, width=32))


@given(float32_arrays(2.0**127))
def test_bf16_is_float32_rounded_half_to_even(weight):
    scheme = find_scheme("bf16")
    (rounded,) = scheme.quantize(weight)
    bits = weight.view(np.uint32).astype(np.uint64)
    expected = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    assert np.array_equal(rounded.view(np.uint16), expected)
    assert np.array_equal(
        scheme.dequantize(rounded, columns=5).view(np.uint32), expected.astype(np.uint32) << 16
    )


@given(float32_arrays(65504))
def test_f16_is_float32_rounded_to_half_precision(weight):
    scheme = find_scheme("f16")
    (rounded,) = scheme.quantize(weight)
    step = np.maximum(2.0**-24, 2.0 ** (np.frexp(weight.astype(np.float64))[1] - 11))
    expected = np.rint(weight / step) * step
    assert np.array_equal(scheme.dequantize(rounded, columns=5), expected)


@given(float32_arrays(2.0**127))
def test_f32_keeps_every_bit(weight):
    (kept,) = find_scheme("f32").quantize(weight)
    assert kept.tobytes() == weight.tobytes()
    assert find_scheme("f32").dequantize(kept).tobytes() == weight.tobytes()


@pytest.mark.parametrize(
    ("scheme", "value"),
    [
        *((scheme, value) for scheme in TYPES for value in (np.inf, -np.inf, np.nan)),
        ("bf16", np.finfo(np.float32).max),
        ("f16", 65520),
        ("f16", -1e6),
    ],
)
def test_a_weight_that_the_type_cannot_hold_is_refused(scheme, value):
    with pytest.raises(QuantizationError, match=f"{scheme} weights must be finite"):
        find_scheme(scheme).quantize(np.full((1, 5), value, np.float32))


@pytest.mark.parametrize("name", TYPES)
def test_rows_of_another_length_are_refused(name):
    (rounded,) = find_scheme(name).quantize(np.ones((2, 5), np.float32))
    with pytest.raises(QuantizationError, match="rows of 6"):
        find_scheme(name).dequantize(rounded, columns=6)


def test_a_float_type_has_its_scheme():
    assert {scheme.name for scheme in float_schemes()} == set(TYPES)
    for name, dtype in TYPES.items():
        assert find_float_scheme(np.dtype(dtype)) is find_scheme(name)
        assert is_float(find_scheme(name))
    for dtype in (np.float64, np.int16, np.uint8, ml_dtypes.float8_e4m3fn):
        assert find_float_scheme(np.dtype(dtype)) is None
    assert not is_float(find_scheme("mxfp4"))
