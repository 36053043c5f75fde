"""Matrix products of each scheme, activation type and instruction set against float64."""

import ml_dtypes
import numpy as np
import pytest

import tolerances
from kernel_operands import (
    PAIRS,
    products,
    random_activations,
    random_parts,
    supported_isas,
    values,
)
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.packing import pack_rows
from ossc.targets.errors import LoweringError

ISAS = supported_isas()

ACTIVATIONS = {
    scheme: [activation for each, activation in PAIRS if each == scheme] for scheme, _ in PAIRS
}
"""The types of each scheme."""

SHAPE = (37, 2880)
"""More than a panel of 32 rows, a last group of 5 rows, and as many columns as gpt-oss has."""

DIRECT = 3
"""Tokens of a chunk that integer products take without a panel; 5 and more make one."""


def product(run, scheme, activation, isa, shape, n, *, bias=True, cpu=None):
    """Return the kernel's result and the float64 one, ``[n, rows]`` both."""
    rows, columns = shape
    parts = random_parts(scheme, shape)
    x = random_activations(activation, (n, columns))
    added = np.random.default_rng(2).standard_normal(rows).astype(np.float32)
    kernel = linear(
        scheme=scheme,
        activation=activation,
        rows=rows,
        columns=columns,
        bias=bias,
        n=1 if n == 1 else None,
        isa=isa,
    )
    inputs = [*x.arrays(n), pack_rows(scheme, parts), *([added] if bias else [])]
    (out,) = run(kernel, inputs, [("float32", (n, rows))], n=n, cpu=cpu)
    return out, x.values @ values(scheme, parts).T + (added if bias else 0)


@pytest.mark.parametrize(("scheme", "activation", "isa"), products())
@pytest.mark.parametrize("n", [1, DIRECT, 13])
def test_product_matches_float64(run, scheme, activation, isa, n):
    out, expected = product(run, scheme, activation, isa, SHAPE, n)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize(
    ("shape", "scheme", "activation"),
    [
        (shape, scheme, each[(i + j) % len(each)])
        for i, (scheme, each) in enumerate(ACTIVATIONS.items())
        for j, shape in enumerate([(3, 32), (8, 64), (17, 96)])
    ],
)
def test_any_number_of_rows(run, scheme, activation, shape):
    """The rows of a scheme are packed for all types of activations alike."""
    out, expected = product(run, scheme, activation, "avx2", shape, 5, bias=False)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize(
    ("scheme", "activation", "isa"), [each for each in products() if each[0] != "mxfp4"][::2]
)
@pytest.mark.parametrize("n", [DIRECT, 6])
def test_a_short_last_block_of_columns(run, scheme, activation, isa, n):
    out, expected = product(run, scheme, activation, isa, (12, 78), n)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize(("scheme", "activation"), [pair for pair in PAIRS if pair[0] != "mxfp4"])
def test_less_than_a_block_of_columns(run, scheme, activation):
    columns = 6 if scheme == "int4-g32" else 5
    out, expected = product(run, scheme, activation, "avx2", (12, columns), DIRECT)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize(("scheme", "activation", "isa"), products())
@pytest.mark.parametrize("n", [DIRECT, 7])
def test_one_token_and_a_chunk_agree_bit_for_bit(run, scheme, activation, isa, n):
    rows, columns = SHAPE
    chunk, _ = product(run, scheme, activation, isa, SHAPE, n)
    kernel = linear(
        scheme=scheme, activation=activation, rows=rows, columns=columns, bias=True, n=1, isa=isa
    )
    weight = pack_rows(scheme, random_parts(scheme, SHAPE))
    bias = np.random.default_rng(2).standard_normal(rows).astype(np.float32)
    x = random_activations(activation, (n, columns))
    for token in range(n):
        arrays = x.of(slice(token, token + 1)).arrays(1)
        (one,) = run(kernel, [*arrays, weight, bias], [("float32", (1, rows))])
        np.testing.assert_array_equal(one[0], chunk[token])


@pytest.mark.parametrize(("scheme", "activation"), PAIRS)
@pytest.mark.parametrize("n", [1, DIRECT, 7])
def test_all_instruction_sets_agree_bit_for_bit(run, scheme, activation, n):
    isas = [isa for *pair, isa in products() if pair == [scheme, activation]]
    first, *others = [product(run, scheme, activation, isa, SHAPE, n)[0] for isa in isas]
    for other in others:
        np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize(
    ("scheme", "activation"), [(scheme, types[-1]) for scheme, types in ACTIVATIONS.items()]
)
def test_portable_product_on_a_cpu_without_fused_multiply_add(run, scheme, activation):
    out, expected = product(run, scheme, activation, "portable", (11, 320), 5, cpu="x86-64-v2")
    largest = np.abs(expected).max()
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("scheme", ["mxfp4", "int4-g32", "int8-g32"])
def test_the_largest_codes_do_not_overflow(run, scheme, isa):
    columns = 64
    codes = np.full((8, columns), -127, np.int8)
    ones = np.ones((8, columns // 32))
    if scheme == "mxfp4":
        parts = [np.full((8, 2, 16), 0xFF, np.uint8), (127 * ones).astype(np.uint8)]
        weight = -6.0
    elif scheme == "int4-g32":
        parts = [np.full((8, columns // 2), 0xFF, np.uint8), ones.astype(ml_dtypes.bfloat16)]
        weight = 7.0
    else:
        parts = [codes, ones.astype(ml_dtypes.bfloat16)]
        weight = -127.0
    x = [codes[:1], np.ones((1, 2), np.float32), np.full((1, 2), -127 * 32, np.float32)]
    kernel = linear(
        scheme=scheme, activation="int8", rows=8, columns=columns, bias=False, n=1, isa=isa
    )
    (out,) = run(kernel, [*x, pack_rows(scheme, parts)], [("float32", (1, 8))])
    np.testing.assert_array_equal(out, np.full((1, 8), weight * -127 * columns))


@pytest.mark.parametrize("scheme", ["bf16", "f16", "f32"])
def test_float_weights_refuse_int8_activations(scheme):
    with pytest.raises(LoweringError, match="use f32 activations"):
        linear(scheme=scheme, activation="int8", rows=8, columns=32, bias=False, n=1, isa="avx2")


def test_a_scheme_without_kernels_is_refused():
    with pytest.raises(LoweringError, match="int3-g7"):
        linear(scheme="int3-g7", activation="f32", rows=8, columns=32, bias=False, n=1, isa="avx2")
