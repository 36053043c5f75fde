"""The choice of experts on a GPU's driver: order, ties, NaN, and weights."""

import numpy as np
import pytest

from gpu_kernels import run_kernel
from ossc.compiler.backends.gpu.kernels.experts.router_top_k import router_top_k
from ossc.targets.errors import LoweringError


def route(logits, k, *, n=None):
    """Return indices and weights, ``[n, k]``."""
    logits = np.asarray(logits, np.float32)
    tokens, experts = logits.shape
    return run_kernel(router_top_k(experts=experts, k=k, n=n), [logits], tokens)


@pytest.mark.parametrize(("experts", "k"), [(33, 33), (130, 5)])
def test_the_k_largest_by_falling_logit_with_their_softmax(experts, k):
    logits = np.random.default_rng(0).standard_normal((9, experts)).astype(np.float32)
    indices, weights = route(logits, k)
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, expected)
    terms = np.exp(np.take_along_axis(logits, expected, 1).astype(np.float64))
    np.testing.assert_allclose(weights, terms / terms.sum(1, keepdims=True), rtol=1e-6)
    for one, many in zip(route(logits[4:5], k, n=1), (indices, weights), strict=True):
        np.testing.assert_array_equal(one[0], many[4])


@pytest.mark.parametrize(("experts", "k"), [(4, 5), (4, 0)])
def test_more_experts_than_there_are_cannot_be_chosen(experts, k):
    with pytest.raises(LoweringError, match=f"chooses {k} of {experts}"):
        router_top_k(experts=experts, k=k, n=1)


def test_of_equal_logits_the_lower_index_comes_first():
    logits = np.zeros((3, 70))
    logits[0, [3, 68]] = 1
    logits[1, ::2] = -0.0
    logits[2] = -np.arange(70) // 35
    indices, weights = route(logits, 4)
    assert indices.tolist() == [[3, 68, 0, 1], [0, 1, 2, 3], [0, 1, 2, 3]]
    np.testing.assert_allclose(weights[1], 0.25)


def test_nan_comes_first_spreads_to_all_weights_and_every_index_is_valid():
    nan, inf = np.nan, np.inf
    logits = [[nan, 1, nan, 3], [nan, nan, nan, -inf], [nan, -nan, nan, nan], [-inf] * 4]
    indices, weights = route(logits, 3)
    assert indices.tolist() == [[0, 2, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert np.isnan(weights[:3]).all()
