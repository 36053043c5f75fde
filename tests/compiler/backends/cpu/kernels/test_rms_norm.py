"""RMS normalization against float64."""

import numpy as np
import pytest

import tolerances
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm

EPSILON = 1e-5


def reference(x, weight):
    x = x.astype(np.float64)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * weight


@pytest.mark.parametrize("hidden", [5, 16, 20, 2880])
@pytest.mark.parametrize("n", [1, 3])
def test_norm_of_a_sum_matches_float64(run, hidden, n):
    rng = np.random.default_rng(0)
    x, residual = rng.standard_normal((2, n, hidden)).astype(np.float32)
    weight = rng.standard_normal(hidden).astype(np.float32)
    kernel = rms_norm(hidden=hidden, epsilon=EPSILON, add=True, n=None)
    shape = ("float32", (n, hidden))
    normed, total = run(kernel, [x, residual, weight], [shape, shape], n=n)
    np.testing.assert_array_equal(total, x + residual)
    np.testing.assert_allclose(normed, reference(total, weight), rtol=tolerances.NORM, atol=1e-7)


def test_norm_alone_matches_float64(run):
    rng = np.random.default_rng(1)
    x = (1000 * rng.standard_normal((1, 2880))).astype(np.float32)
    weight = rng.standard_normal(2880).astype(np.float32)
    kernel = rms_norm(hidden=2880, epsilon=EPSILON, add=False, n=1)
    (normed,) = run(kernel, [x, weight], [("float32", x.shape)])
    np.testing.assert_allclose(normed, reference(x, weight), rtol=tolerances.NORM, atol=1e-7)


def test_one_token_and_a_chunk_agree_bit_for_bit(run):
    rng = np.random.default_rng(2)
    x, residual = rng.standard_normal((2, 3, 44)).astype(np.float32)
    weight = rng.standard_normal(44).astype(np.float32)
    shape = ("float32", (3, 44))
    chunk = rms_norm(hidden=44, epsilon=EPSILON, add=True, n=None)
    one = rms_norm(hidden=44, epsilon=EPSILON, add=True, n=1)
    normed, _ = run(chunk, [x, residual, weight], [shape, shape], n=3)
    for token in range(3):
        row = slice(token, token + 1)
        shape = ("float32", (1, 44))
        alone, _ = run(one, [x[row], residual[row], weight], [shape, shape])
        np.testing.assert_array_equal(alone, normed[row])


def test_a_range_of_tasks_writes_its_own_rows_only(run):
    x = np.ones((4, 12), np.float32)
    kernel = rms_norm(hidden=12, epsilon=EPSILON, add=False, n=None)
    (normed,) = run(kernel, [x, x[0]], [("float32", x.shape)], n=4, tasks=(1, 3))
    assert np.isnan(normed[[0, 3]]).all()
    assert np.isfinite(normed[1:3]).all()
