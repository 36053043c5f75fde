"""The experts' products on a GPU's driver: every pair gets its own expert, against float64."""

import numpy as np
import pytest

import tolerances
from glu_reference import gated
from gpu_kernels import run_kernel
from kernel_operands import random_parts, values
from ossc.compiler.backends.gpu.kernels.experts.expert_glu import expert_glu
from ossc.compiler.backends.gpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.gpu.packed import pack_glu, pack_matrix
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.lowering.glu import Glu
from ossc.targets.errors import LoweringError

SWIGLU_OSS = Glu(kind="swiglu_oss", alpha=1.702, limit=1.5)


class Experts:
    """Random weights, biases, activations and routing for both kernels."""

    def __init__(
        self, scheme, *, experts=5, k=2, n=9, rows=20, columns=64, glu=SWIGLU_OSS, bias=True
    ):
        self.scheme, self.glu_kind, self.has_bias = scheme, glu, bias
        self.experts, self.k, self.rows, self.columns = experts, k, rows, columns
        rng = np.random.default_rng(6)
        self.place = rng.permutation(experts)
        self.damage = lambda table: table
        self.indices = np.stack([rng.permutation(experts)[:k] for _ in range(n)]).astype(np.int32)
        self.bias = rng.standard_normal((experts, 2 * rows)).astype(np.float32) * bias
        self.parts = random_parts(scheme, (experts, 2 * rows, columns))
        self.x = rng.standard_normal((n, columns)).astype(np.float32)
        self.a = rng.standard_normal((n, k, columns)).astype(np.float32)

    def glu(self, tokens, *, n=None):
        """Run expert_glu on some tokens."""
        sizes = {"intermediate": self.rows, "hidden": self.columns, "glu": self.glu_kind}
        weight = self._packed(pack_glu, self.parts)
        return self._call(expert_glu, sizes, self.x[tokens], weight, self.bias, tokens, n)

    def linear(self, tokens, *, n=None):
        """Run expert_linear on some tokens, with the first half of the rows."""
        sizes = {"hidden": self.rows, "intermediate": self.columns}
        weight = self._packed(pack_matrix, [part[:, : self.rows] for part in self.parts])
        bias = np.ascontiguousarray(self.bias[:, : self.rows])
        return self._call(expert_linear, sizes, self.a[tokens], weight, bias, tokens, n)

    def _packed(self, pack, parts):
        """Return the table, and the experts where it says."""
        weights = find_format(self.scheme)
        experts = [
            pack(weights, [part[e] for part in parts], self.columns) for e in range(self.experts)
        ]
        table = self.place * len(experts[0])
        packed = np.concatenate([experts[e] for e in np.argsort(self.place)])
        return [self.damage(table).astype(np.int32), packed]

    def _call(self, build, sizes, activations, weight, bias, tokens, n):
        shape = {"scheme": self.scheme, "experts": self.experts, "k": self.k, **sizes}
        kernel = build(**shape, bias=self.has_bias, n=n)
        indices = self.indices[tokens]
        route = [indices] if n == 1 else by_expert(indices, self.experts)
        biases = [bias] if self.has_bias else []
        return run_kernel(kernel, [activations, *route, *weight, *biases], len(indices))[0]

    def expected_glu(self):
        """Return it in float64."""
        weights = values(self.scheme, self.parts)[self.indices]
        y = np.einsum("nc,nkrc->nkr", self.x.astype(np.float64), weights) + self.bias[self.indices]
        return gated(self.glu_kind, y[..., ::2], y[..., 1::2])

    def expected_linear(self):
        """Return it in float64."""
        weights = values(self.scheme, self.parts)[self.indices][:, :, : self.rows]
        bias = self.bias[self.indices][..., : self.rows]
        return np.einsum("nkc,nkrc->nkr", self.a.astype(np.float64), weights) + bias


def by_expert(indices, experts):
    """Return what the kernels are given for a chunk: offsets and order."""
    flat = indices.reshape(-1)
    order = np.argsort(flat, kind="stable").astype(np.int32)
    offsets = np.searchsorted(flat[order], np.arange(experts + 1)).astype(np.int32)
    return [offsets, order.reshape(indices.shape)]


def assert_close(result, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerances.PRODUCT * largest)


CASES = [
    pytest.param("mxfp4", {"experts": 33, "k": 4, "rows": 3, "n": 21}, id="33-experts"),
    pytest.param("int8-g32", {"experts": 1, "k": 1, "n": 70, "columns": 45}, id="one-for-all"),
    pytest.param(
        "bf16",
        {"experts": 4, "k": 4, "n": 33, "columns": 33, "glu": Glu(kind="silu"), "bias": False},
        id="all-chosen-without-bias",
    ),
]
"""Every scheme with every gate is among the cases of tests/operations."""


@pytest.mark.parametrize(("scheme", "options"), CASES)
def test_both_products_match_float64_for_chunks_and_for_a_token(scheme, options):
    case = Experts(scheme, **options)
    everyone, last = slice(0, len(case.x)), slice(len(case.x) - 1, len(case.x))
    for product, expected in (
        (case.glu, case.expected_glu()),
        (case.linear, case.expected_linear()),
    ):
        assert_close(product(everyone), expected)
        assert_close(product(last, n=1), expected[last])


def test_nan_stays_with_its_token():
    case = Experts("bf16", n=3)
    case.x[1, 0] = np.nan
    result = case.glu(slice(0, 3))
    assert np.isnan(result).all(axis=(1, 2)).tolist() == [False, True, False]


@pytest.mark.parametrize(("offset", "expert"), [(-(1 << 31), 0), ((1 << 31) - 1, 4)])
def test_a_damaged_table_leads_to_another_expert_and_not_out_of_the_weights(offset, expert):
    case = Experts("int8-g32", n=3, bias=False)
    case.place = np.arange(case.experts)
    case.damage = lambda table: np.full_like(table, offset)
    result = case.linear(slice(0, 3))
    case.indices[:] = expert
    assert_close(result, case.expected_linear())


def test_experts_beyond_the_kernels_indices_are_refused():
    with pytest.raises(LoweringError, match="choose a shorter scheme"):
        expert_linear(
            scheme="f32", experts=128, hidden=8192, intermediate=4096, k=1, bias=False, n=1
        )
