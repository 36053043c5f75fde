"""The choice of experts: order, ties, NaN, and weights."""

import numpy as np
import pytest

from ossc.compiler.backends.cpu.kernels.experts.router_top_k import router_top_k
from ossc.targets.errors import LoweringError


def route(run, logits, k, *, n=None):
    """Return indices and weights, ``[n, k]``."""
    logits = np.asarray(logits, np.float32)
    tokens, experts = logits.shape
    outputs = [("int32", (tokens, k)), ("float32", (tokens, k))]
    return run(router_top_k(experts=experts, k=k, n=n), [logits], outputs, n=tokens)


@pytest.mark.parametrize("experts", [4, 33, 128])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_k_largest_by_falling_logit_with_their_softmax(run, experts, k):
    logits = np.random.default_rng(0).standard_normal((9, experts)).astype(np.float32)
    indices, weights = route(run, logits, k)
    expected = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, expected)
    terms = np.exp(np.take_along_axis(logits, expected, 1).astype(np.float64))
    np.testing.assert_allclose(weights, terms / terms.sum(1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(("experts", "k"), [(4, 5), (4, 0)])
def test_more_experts_than_there_are_cannot_be_chosen(experts, k):
    with pytest.raises(LoweringError, match=f"chooses {k} of {experts}"):
        router_top_k(experts=experts, k=k, n=1)


def test_of_equal_logits_the_lower_index_comes_first(run):
    indices, weights = route(run, [[1, 2, 2, 1, 2], [0.0, -0.0, 0.0, -0.0, 0.0]], 4)
    assert indices.tolist() == [[1, 2, 4, 0], [0, 1, 2, 3]]
    np.testing.assert_allclose(weights[1], 0.25)


def test_nan_comes_first_spreads_to_all_weights_and_every_index_is_valid(run):
    nan, inf = np.nan, np.inf
    logits = [[nan, 1, nan, 3], [nan, nan, nan, -inf], [nan, -nan, nan, nan], [-inf] * 4]
    indices, weights = route(run, logits, 3)
    assert indices.tolist() == [[0, 2, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert np.isnan(weights[:3]).all()


def test_one_token_and_a_chunk_agree_bit_for_bit(run):
    logits = np.random.default_rng(1).standard_normal((5, 33)).astype(np.float32)
    chunk = route(run, logits, 4)
    for token in range(5):
        for one, many in zip(route(run, logits[token : token + 1], 4, n=1), chunk, strict=True):
            np.testing.assert_array_equal(one[0], many[token])
