"""RMS norms on a GPU's driver, against float64."""

import numpy as np
import pytest

from gpu_kernels import run_kernel
from ossc.compiler.backends.gpu.kernels.rms_norm import rms_norm
from tolerances import PRODUCT

EPSILON = 1e-5


@pytest.mark.parametrize("hidden", [7, 200])
@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("add", [True, False])
def test_rows_of_the_sum_are_normalized(hidden, tokens, add):
    random = np.random.default_rng(1)
    terms = [random.standard_normal((tokens, hidden)).astype("float32") for _ in range(1 + add)]
    weight = random.standard_normal(hidden).astype("float32")
    kernel = rms_norm(hidden=hidden, epsilon=EPSILON, add=add, n=None if tokens > 1 else 1)
    normed, *sums = run_kernel(kernel, [*terms, weight], tokens)
    total = sum(term.astype("float64") for term in terms)
    root = np.sqrt((total**2).mean(axis=1, keepdims=True) + EPSILON)
    exact = total / root * weight
    assert np.abs(normed - exact).max() <= PRODUCT * np.abs(exact).max()
    assert len(sums) == add
    for each in sums:
        np.testing.assert_allclose(each, total, rtol=1e-6, atol=1e-6)
