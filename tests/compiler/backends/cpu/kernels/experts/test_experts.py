"""The experts' products: every pair gets its own expert, in both forms, against float64."""

import mmap

import numpy as np
import pytest
import tvm

import tolerances
from glu_reference import gated
from kernel_operands import random_activations, random_parts, some_products, values
from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.kernels.experts.expert_glu import expert_glu
from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.packing import expert_stride, pack_glu, pack_rows
from ossc.compiler.lowering.glu import Glu

ALPHA, LIMIT = 1.702, 7.0
SWIGLU_OSS = Glu(kind="swiglu_oss", alpha=ALPHA, limit=LIMIT)

TARGET = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3"}


def choose(experts, k, n):
    """Return the routing ``[n, k]``: different experts a token, some chosen by nobody."""
    rng = np.random.default_rng(5)
    return np.stack([rng.permutation(experts)[:k] for _ in range(n)]).astype(np.int32)


def routing_buffers(indices, experts):
    """Return what the kernels are given for a chunk: offsets and order."""
    flat = indices.reshape(-1)
    order = np.argsort(flat, kind="stable").astype(np.int32)
    offsets = np.searchsorted(flat[order], np.arange(experts + 1)).astype(np.int32)
    return [offsets, order.reshape(indices.shape)]


def packed(pack, scheme, parts, places):
    """Pack each expert, put it at its place, and return the table and the bytes."""
    experts = [pack(scheme, [part[e] for part in parts]) for e in range(len(parts[0]))]
    stride = expert_stride(len(experts[0]))
    weight = np.zeros(len(experts) * stride, np.uint8)
    for place, expert in zip(places, experts, strict=True):
        weight[place * stride :][: len(expert)] = expert
    return [places * stride, weight]


class Experts:
    """Random weights, biases, activations and routing for both kernels."""

    def __init__(
        self,
        run,
        scheme,
        activation,
        isa,
        *,
        experts=9,
        k=3,
        n=9,
        rows=20,
        columns=64,
        glu=SWIGLU_OSS,
        has_bias=True,
    ):
        self.glu_kind, self.has_bias = glu, has_bias
        self.run, self.isa, self.scheme, self.activation = run, isa, scheme, activation
        self.experts, self.k, self.rows, self.columns = experts, k, rows, columns
        self.place = np.random.default_rng(7).permutation
        self.damage = lambda table: table
        self.indices = choose(experts, k, n)
        rng = np.random.default_rng(6)
        self.bias = rng.standard_normal((experts, 2 * rows)).astype(np.float32) * has_bias
        self.parts = random_parts(scheme, (experts, 2 * rows, columns))
        self.x = random_activations(activation, (n, columns))
        self.a = random_activations(activation, (n, k, columns))

    def glu(self, tokens, *, single=False):
        """Run expert_glu on some tokens."""
        kernel = expert_glu(
            scheme=self.scheme,
            activation=self.activation,
            experts=self.experts,
            intermediate=self.rows,
            hidden=self.columns,
            k=self.k,
            glu=self.glu_kind,
            bias=self.has_bias,
            n=1 if single else None,
            isa=self.isa,
        )
        weight = self._packed(pack_glu, self.parts)
        return self._call(kernel, self.x, weight, self.bias, tokens, single)

    def linear(self, tokens, *, single=False):
        """Run expert_linear on some tokens, with the first half of the rows."""
        kernel = expert_linear(
            scheme=self.scheme,
            activation=self.activation,
            experts=self.experts,
            hidden=self.rows,
            intermediate=self.columns,
            k=self.k,
            bias=self.has_bias,
            n=1 if single else None,
            isa=self.isa,
        )
        weight = self._packed(pack_rows, [part[:, : self.rows] for part in self.parts])
        bias = np.ascontiguousarray(self.bias[:, : self.rows])
        return self._call(kernel, self.a, weight, bias, tokens, single)

    def _packed(self, pack, parts):
        table, weight = packed(pack, self.scheme, parts, self.place(self.experts))
        return [self.damage(table), weight]

    def _call(self, kernel, activations, weight, bias, tokens, single):
        indices = self.indices[tokens]
        route = [indices] if single else routing_buffers(indices, self.experts)
        arrays = activations.of(tokens).arrays(1 if single else 0)
        biases = [bias] if self.has_bias else []
        output = ("float32", (len(indices), self.k, self.rows))
        return self.run(kernel, [*arrays, *route, *weight, *biases], [output], n=len(indices))[0]

    def expected_glu(self):
        """Return it in float64."""
        weights = values(self.scheme, self.parts)[self.indices]
        y = np.einsum("nc,nkrc->nkr", self.x.values, weights) + self.bias[self.indices]
        return gated(self.glu_kind, y[..., ::2], y[..., 1::2])

    def expected_linear(self):
        """Return it in float64."""
        weights = values(self.scheme, self.parts)[self.indices][:, :, : self.rows]
        bias = self.bias[self.indices][..., : self.rows]
        return np.einsum("nkc,nkrc->nkr", self.a.values, weights) + bias


def assert_close(result, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize(("scheme", "activation", "isa"), some_products())
def test_both_products_match_float64_and_forms_agree_bit_for_bit(run, scheme, activation, isa):
    experts = Experts(run, scheme, activation, isa, experts=33 if isa == "portable" else 5)
    everyone = slice(0, 9)
    for product, expected in (
        (experts.glu, experts.expected_glu()),
        (experts.linear, experts.expected_linear()),
    ):
        chunk = product(everyone)
        assert_close(chunk, expected)
        one = [product(slice(token, token + 1), single=True) for token in (0, 8)]
        np.testing.assert_array_equal(np.concatenate(one), chunk[[0, 8]])


@pytest.mark.parametrize(("experts", "k", "rows"), [(1, 1, 8), (33, 4, 3), (4, 4, 24)])
def test_any_number_of_experts_slots_and_rows(run, experts, k, rows):
    case = Experts(run, "mxfp4", "int8", "avx2", experts=experts, k=k, n=7, rows=rows)
    assert_close(case.glu(slice(0, 7)), case.expected_glu())
    assert_close(case.linear(slice(0, 7)), case.expected_linear())


@pytest.mark.parametrize(
    ("scheme", "activation", "kind"),
    [
        ("bf16", "f32", "silu"),
        ("bf16", "f32", "gelu_tanh"),
        ("int4-g32", "int8x2", "silu"),
        ("int4-g32", "int8x2", "gelu"),
    ],
)
def test_products_without_biases_and_with_other_gates(run, scheme, activation, kind):
    glu = Glu(kind=kind)
    case = Experts(run, scheme, activation, "avx2", glu=glu, has_bias=False, k=1, n=5)
    everyone = slice(0, 5)
    for product, expected in (
        (case.glu, case.expected_glu()),
        (case.linear, case.expected_linear()),
    ):
        chunk = product(everyone)
        assert_close(chunk, expected)
        one = product(slice(3, 4), single=True)
        np.testing.assert_array_equal(one, chunk[3:4])


def test_short_last_block_of_columns(run):
    case = Experts(run, "int8-g32", "int8", "avx2", columns=45)
    assert_close(case.glu(slice(0, 9)), case.expected_glu())
    assert_close(case.linear(slice(0, 9)), case.expected_linear())


def test_gates_and_ups_are_limited_and_nan_stays(run):
    case = Experts(run, "bf16", "f32", "avx2", n=3)
    case.bias *= 20
    assert_close(case.glu(slice(0, 3)), case.expected_glu())
    case.x.chunk[0][1, 0] = np.nan
    result = case.glu(slice(0, 3))
    assert np.isnan(result).all(axis=(1, 2)).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("damage", "expert"),
    [
        pytest.param(lambda table: table * 0 - (1 << 62), 0, id="before"),
        pytest.param(lambda table: table * 0 + (1 << 62), 4, id="behind"),
        pytest.param(lambda table: table + 63, None, id="between"),
    ],
)
def test_a_damaged_table_leads_to_another_expert_and_not_out_of_the_weights(run, damage, expert):
    case = Experts(run, "int8-g32", "f32", "avx2", experts=5, k=2, n=3)
    expected = case.linear(slice(0, 3)) - case.bias[case.indices][..., : case.rows]
    case.place = lambda experts: np.arange(experts)
    whole = case.linear(slice(0, 3)) - case.bias[case.indices][..., : case.rows]
    np.testing.assert_array_equal(whole, expected)  # the order of the experts is not seen
    case.damage = damage
    result = case.linear(slice(0, 3)) - case.bias[case.indices][..., : case.rows]
    if expert is not None:
        case.parts = [np.broadcast_to(part[expert], part.shape) for part in case.parts]
        case.damage = lambda table: table
        expected = case.linear(slice(0, 3)) - case.bias[case.indices][..., : case.rows]
    np.testing.assert_array_equal(result, expected)


def test_an_expert_that_starts_beyond_2_gib_is_found():
    columns, rows = 1 << 16, 8
    stride = columns * rows * 2
    experts = (1 << 31) // stride + 2
    weight = np.frombuffer(mmap.mmap(-1, experts * stride), np.uint8)  # no page exists yet
    weight[-stride:].view(np.uint16)[:] = 0x3F80  # 1.0
    kernel = expert_linear(
        scheme="bf16",
        activation="f32",
        experts=experts,
        hidden=rows,
        intermediate=columns,
        k=1,
        bias=True,
        n=1,
        isa="avx2",
    )
    function = generate_code({kernel.name: kernel.func}, tvm.target.Target(TARGET))[kernel.name]
    x = tvm.runtime.tensor(np.ones((1, 1, columns), np.float32))
    bias = tvm.runtime.tensor(np.zeros((experts, rows), np.float32))
    indices = tvm.runtime.tensor(np.array([[experts - 1]], np.int32))
    out = tvm.runtime.tensor(np.zeros((1, 1, rows), np.float32))
    table = tvm.runtime.tensor(np.arange(experts) * stride)
    function(x, indices, table, tvm.runtime.from_dlpack(weight), bias, out, 0, 1)
    np.testing.assert_array_equal(out.numpy(), np.full((1, 1, rows), columns))
