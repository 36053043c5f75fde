"""Sorting pairs by expert on a GPU's driver."""

import numpy as np
import pytest

from gpu_kernels import run_kernel
from ossc.compiler.backends.gpu.kernels.experts.group_by_expert import group_by_expert


@pytest.mark.parametrize(("n", "experts", "k"), [(7, 33, 3), (100, 4, 4), (65, 1, 1)])
def test_pairs_are_sorted_by_expert_and_keep_their_order(n, experts, k):
    indices = np.random.default_rng(0).integers(0, experts, (n, k), dtype=np.int32)
    indices[indices == 2] = 1  # nobody chooses one of them
    kernel = group_by_expert(experts=experts, k=k, n=None)
    offsets, order = run_kernel(kernel, [indices], n)
    flat = indices.reshape(-1)
    np.testing.assert_array_equal(order.reshape(-1), np.argsort(flat, kind="stable"))
    np.testing.assert_array_equal(np.diff(offsets), np.bincount(flat, minlength=experts))
    assert offsets[0] == 0
