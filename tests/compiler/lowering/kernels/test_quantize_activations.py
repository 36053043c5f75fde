"""Integer activations: codes, scales and sums."""

import numpy as np
import pytest

from ossc.compiler.lowering.kernels.quantize_activations import quantize_activations

BLOCK = 32


def quantize(run, x, *, terms=1, n=None):
    """Return codes, scales and sums of ``x`` ``[n, K]`` or ``[n, r, K]``."""
    *leading, columns = x.shape
    blocks = -(-columns // BLOCK)
    rows = leading[1] if len(leading) == 2 else None
    kernel = quantize_activations(columns=columns, rows_per_token=rows, terms=terms, n=n)
    outputs = [
        ("int8", (*leading, blocks * terms * BLOCK)),
        ("float32", (*leading, blocks)),
        ("float32", (*leading, blocks * terms)),
    ]
    return run(kernel, [x], outputs, n=leading[0])


def blocked(x):
    padding = [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % BLOCK)]
    return np.pad(x, padding).reshape(*x.shape[:-1], -1, BLOCK)


@pytest.mark.parametrize("shape", [(3, 64), (1, 2880), (2, 45), (3, 7), (2, 3, 40), (2, 1, 33)])
def test_codes_are_the_nearest_and_padding_is_zero(run, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    codes, scales, sums = quantize(run, x)
    groups = blocked(x.astype(np.float64))
    largest = np.abs(groups).max(-1)
    np.testing.assert_allclose(scales, largest / 127, rtol=1e-7)
    decoded = blocked(codes) * scales[..., None].astype(np.float64)
    assert (np.abs(decoded - groups) <= 0.5001 * scales[..., None]).all()
    assert np.abs(blocked(codes)).max(-1).min() == 127
    np.testing.assert_array_equal(sums, blocked(codes).sum(-1))
    padding = blocked(np.ones(shape)) == 0
    assert (blocked(codes)[padding] == 0).all()


@pytest.mark.parametrize("shape", [(3, 64), (2, 45), (2, 3, 40)])
def test_two_terms_make_one_code_of_15_bits(run, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    codes, scales, sums = quantize(run, x, terms=2)
    groups = blocked(x.astype(np.float64))
    terms = codes.reshape(*groups.shape[:-1], 2, BLOCK).astype(np.int64)
    assert np.abs(terms).max() <= 127
    joined = terms[..., 0, :] * 254 + terms[..., 1, :]
    largest = np.abs(groups).max(-1)
    np.testing.assert_allclose(scales, largest / (127 * 254), rtol=1e-7)
    decoded = joined * scales[..., None].astype(np.float64)
    # The reciprocal of the scale is rounded to float32, which moves codes near 32258 a little.
    assert (np.abs(decoded - groups) <= 0.51 * scales[..., None]).all()
    np.testing.assert_array_equal(sums.reshape(terms.shape[:-1]), terms.sum(-1))


def test_every_code_splits_into_two_int8_terms(run):
    x = np.zeros((64, 1024), np.float32)
    x.reshape(64, 32, 32)[:, :, 0] = 32258  # the largest of each block: its scale is 1
    values = np.linspace(-32258, 32258, 64 * 32 * 31).round().astype(np.float32)
    x.reshape(64, 32, 32)[:, :, 1:] = values.reshape(64, 32, 31)
    split, _, _ = quantize(run, x, terms=2)
    terms = split.reshape(64, 32, 2, 32).astype(np.int64)
    np.testing.assert_array_equal(terms[:, :, 0] * 254 + terms[:, :, 1], x.reshape(64, 32, 32))


def test_halves_go_to_the_even_code(run):
    x = np.zeros((1, 32), np.float32)
    x[0, :5] = [127, 0.5, 1.5, -0.5, -2.5]
    codes, _, _ = quantize(run, x)
    assert codes[0, :5].tolist() == [127, 0, 2, 0, -2]


@pytest.mark.parametrize("value", [0, 1e-31, -1e-40])
def test_a_block_of_next_to_nothing_is_zero(run, value):
    codes, scales, sums = quantize(run, np.full((1, 32), value, np.float32))
    assert not codes.any()
    assert (scales[0, 0], sums[0, 0]) == (0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows_in_the_scale_of_its_block_only(run, value):
    x = np.ones((2, 64), np.float32)
    x[0, 3] = value
    _, scales, _ = quantize(run, x)
    assert np.isfinite(scales).tolist() == [[False, True], [True, True]]


def test_one_token_and_a_chunk_agree_bit_for_bit(run):
    x = np.random.default_rng(3).standard_normal((4, 77)).astype(np.float32)
    chunk = quantize(run, x)
    for token in range(4):
        row = slice(token, token + 1)
        for one, many in zip(quantize(run, x[row], n=1), chunk, strict=True):
            np.testing.assert_array_equal(one, many[row])
