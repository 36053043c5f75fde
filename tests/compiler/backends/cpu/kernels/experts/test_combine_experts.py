"""The weighted sum over slots."""

import numpy as np
import pytest

from ossc.compiler.backends.cpu.kernels.experts.combine_experts import combine_experts


def combine(run, y, weights, *, n=None):
    tokens, k, hidden = y.shape
    kernel = combine_experts(hidden=hidden, k=k, n=n)
    return run(kernel, [y, weights], [("float32", (tokens, hidden))], n=tokens)[0]


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("hidden", [5, 16, 2880])
def test_slots_are_added_by_weight(run, k, hidden):
    rng = np.random.default_rng(0)
    y = rng.standard_normal((3, k, hidden)).astype(np.float32)
    weights = rng.uniform(0, 1, (3, k)).astype(np.float32)
    expected = np.einsum("nkh,nk->nh", y.astype(np.float64), weights)
    np.testing.assert_allclose(combine(run, y, weights), expected, rtol=0, atol=2e-6)


def test_one_token_and_a_chunk_agree_bit_for_bit(run):
    rng = np.random.default_rng(1)
    y = rng.standard_normal((3, 4, 21)).astype(np.float32)
    weights = rng.uniform(0, 1, (3, 4)).astype(np.float32)
    chunk = combine(run, y, weights)
    for token in range(3):
        row = slice(token, token + 1)
        np.testing.assert_array_equal(combine(run, y[row], weights[row], n=1), chunk[row])
