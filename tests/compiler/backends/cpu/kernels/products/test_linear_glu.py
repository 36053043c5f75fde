"""The gated product of each scheme, activation type and instruction set against float64."""

import numpy as np
import pytest

import tolerances
from glu_reference import gated
from kernel_operands import random_activations, random_parts, some_products, values
from ossc.compiler.backends.cpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.cpu.packing import pack_glu
from ossc.compiler.lowering.glu import Glu

SILU = Glu(kind="silu")
SWIGLU_OSS = Glu(kind="swiglu_oss", alpha=1.702, limit=7.0)
TOKENS = 7


def product(run, scheme, activation, isa, shape, tokens=None, *, glu=SILU, bias=False):
    """Return the kernel's result and the float64 one; ``tokens`` None is all of a chunk."""
    intermediate, hidden = shape
    parts = random_parts(scheme, (2 * intermediate, hidden))
    x = random_activations(activation, (TOKENS, hidden))
    added = np.random.default_rng(2).standard_normal(2 * intermediate).astype(np.float32)
    kernel = linear_glu(
        scheme=scheme,
        activation=activation,
        intermediate=intermediate,
        hidden=hidden,
        glu=glu,
        bias=bias,
        n=None if tokens is None else 1,
        isa=isa,
    )
    chosen = x.of(tokens or slice(0, TOKENS))
    n = len(chosen.values)
    inputs = [*chosen.arrays(n), pack_glu(scheme, parts), *([added] if bias else [])]
    (out,) = run(kernel, inputs, [("float32", (n, intermediate))], n=n)
    y = chosen.values @ values(scheme, parts).T + (added if bias else 0)
    return out, gated(glu, y[:, ::2], y[:, 1::2])


def assert_close(result, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize(("scheme", "activation", "isa"), some_products())
def test_product_matches_float64_and_a_token_has_the_bits_of_a_chunk(run, scheme, activation, isa):
    chunk, expected = product(run, scheme, activation, isa, (21, 160))
    assert_close(chunk, expected)
    one, _ = product(run, scheme, activation, isa, (21, 160), slice(4, 5))
    np.testing.assert_array_equal(one, chunk[4:5])


@pytest.mark.parametrize("glu", [Glu(kind="gelu"), Glu(kind="gelu_tanh"), SWIGLU_OSS], ids=str)
def test_every_gate_with_and_without_bias(run, glu):
    for bias in (False, True):
        out, expected = product(run, "bf16", "f32", "avx2", (8, 64), glu=glu, bias=bias)
        assert_close(out, expected)


@pytest.mark.parametrize("shape", [(1, 32), (8, 78), (17, 40), (40, 34)])
@pytest.mark.parametrize(("scheme", "activation"), [("int4-g32", "int8x2"), ("f16", "f32")])
def test_any_number_of_rows_and_columns(run, scheme, activation, shape):
    for tokens in (None, slice(2, 3)):
        out, expected = product(run, scheme, activation, "avx2", shape, tokens, bias=True)
        assert_close(out, expected)


def test_cost_counts_every_byte_of_the_weight_once_and_two_operations_for_each():
    sizes = {"intermediate": 24, "hidden": 64, "glu": SILU, "bias": True}
    kernel = linear_glu(scheme="bf16", activation="f32", **sizes, n=1, isa="avx2")
    cost = kernel.cost
    assert cost.kind == ("linear_glu", "bf16", "f32")
    assert cost.bytes.fixed == 48 * 64 * 2 + 48 * 4
    assert cost.bytes.per_token == (64 + 24) * 4
    assert cost.operations.per_token == 2 * 48 * 64
