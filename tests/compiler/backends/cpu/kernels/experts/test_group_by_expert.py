"""Sorting pairs by expert."""

import numpy as np
import pytest

from ossc.compiler.backends.cpu.kernels.experts.group_by_expert import group_by_expert


@pytest.mark.parametrize(("n", "experts", "k"), [(1, 4, 1), (7, 33, 3), (128, 4, 4), (5, 1, 1)])
def test_pairs_are_sorted_by_expert_and_keep_their_order(run, n, experts, k):
    indices = np.random.default_rng(0).integers(0, experts, (n, k), dtype=np.int32)
    kernel = group_by_expert(experts=experts, k=k, n=None)
    outputs = [("int32", (experts + 1,)), ("int32", (n, k))]
    offsets, order = run(kernel, [indices], outputs, n=n, tasks=(0, 1))
    flat = indices.reshape(-1)
    np.testing.assert_array_equal(order.reshape(-1), np.argsort(flat, kind="stable"))
    np.testing.assert_array_equal(np.diff(offsets), np.bincount(flat, minlength=experts))
    assert offsets[0] == 0


def test_an_empty_range_does_nothing(run):
    kernel = group_by_expert(experts=2, k=1, n=None)
    outputs = [("int32", (3,)), ("int32", (2, 1))]
    offsets, order = run(kernel, [np.zeros((2, 1), np.int32)], outputs, n=2, tasks=(0, 0))
    assert (offsets == -1).all()
    assert (order == -1).all()
