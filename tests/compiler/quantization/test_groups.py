"""What the integer schemes share: groups of 32 and their scales."""

import ml_dtypes
import numpy as np
import pytest

from ossc.compiler.quantization.groups import apply_scales, count_groups, pad_to_groups


@pytest.mark.parametrize(("columns", "groups"), [(1, 1), (32, 1), (33, 2), (2880, 90)])
def test_a_short_group_counts(columns, groups):
    assert count_groups(columns) == groups
    padded = pad_to_groups(np.ones((3, columns), np.float32))
    assert padded.shape == (3 * groups, 32)
    assert padded.sum() == 3 * columns  # what is missing is zeros


def test_each_group_has_its_scale():
    scales = np.array([[2, -0.5], [1, 4]]).astype(ml_dtypes.bfloat16)
    scaled = apply_scales(np.full((2, 34), 3, np.float32), scales)
    assert scaled[0].tolist() == [6.0] * 32 + [-1.5] * 2
    assert scaled[1].tolist() == [3.0] * 32 + [12.0] * 2
