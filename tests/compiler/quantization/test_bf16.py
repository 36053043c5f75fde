"""bf16 against the bits of float32."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ossc.compiler.quantization import bf16
from ossc.targets.errors import QuantizationError


@given(hnp.arrays(np.float32, (2, 5), elements=st.floats(-(2.0**127), 2.0**127, width=32)))
def test_float32_is_rounded_half_to_even(weight):
    (rounded,) = bf16.quantize(weight)
    bits = weight.view(np.uint32).astype(np.uint64)
    expected = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    assert np.array_equal(rounded.view(np.uint16), expected)
    assert np.array_equal(
        bf16.dequantize(rounded, columns=5).view(np.uint32), expected.astype(np.uint32) << 16
    )


@pytest.mark.parametrize("value", [np.inf, np.nan, np.finfo(np.float32).max])
def test_a_weight_that_bfloat16_cannot_hold_is_refused(value):
    with pytest.raises(QuantizationError, match="must be finite"):
        bf16.quantize(np.full((1, 5), value, np.float32))


def test_rows_of_another_length_are_refused():
    (rounded,) = bf16.quantize(np.ones((2, 5), np.float32))
    with pytest.raises(QuantizationError, match="rows of 6"):
        bf16.dequantize(rounded, columns=6)
