"""Integer activations: the codes and scales of a chunk; of a token also terms and their sums."""

import numpy as np
import pytest

from kernel_operands import paired
from ossc.compiler.backends.cpu.kernels.products.quantize_activations import quantize_activations

BLOCK = 32


def quantize(run, x, *, terms=1):
    """Return codes, in order, and scales of ``x`` ``[n, K]`` or ``[n, r, K]``, as for a chunk."""
    *leading, columns = x.shape
    blocks = -(-columns // BLOCK)
    outputs = [("int16", (*leading, blocks * BLOCK)), ("float32", (*leading, blocks))]
    kernel = quantize_activations(
        columns=columns, rows_per_token=_rows(leading), terms=terms, n=None
    )
    codes, scales = run(kernel, [x], outputs, n=leading[0])
    return paired(codes), scales


def quantize_token(run, x, *, terms):
    """Return codes, scales and sums of ``x`` ``[1, K]`` or ``[1, r, K]``, as for a token."""
    *leading, columns = x.shape
    blocks = -(-columns // BLOCK)
    outputs = [
        ("int8", (*leading, blocks * terms * BLOCK)),
        ("float32", (*leading, blocks)),
        ("float32", (*leading, blocks * terms)),
    ]
    kernel = quantize_activations(columns=columns, rows_per_token=_rows(leading), terms=terms, n=1)
    return run(kernel, [x], outputs)


def _rows(leading):
    return leading[1] if len(leading) == 2 else None


def blocked(x):
    padding = [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % BLOCK)]
    return np.pad(x, padding).reshape(*x.shape[:-1], -1, BLOCK)


@pytest.mark.parametrize(("terms", "largest_code"), [(1, 127), (2, 127 * 254)])
@pytest.mark.parametrize("shape", [(3, 64), (1, 2880), (2, 45), (3, 7), (2, 3, 40), (2, 1, 33)])
def test_codes_are_the_nearest_and_padding_is_zero(run, shape, terms, largest_code):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    codes, scales = quantize(run, x, terms=terms)
    groups = blocked(x.astype(np.float64))
    np.testing.assert_allclose(scales, np.abs(groups).max(-1) / largest_code, rtol=1e-7)
    decoded = blocked(codes) * scales[..., None].astype(np.float64)
    # The reciprocal of the scale is rounded to float32, which moves codes near 32258 a little.
    assert (np.abs(decoded - groups) <= 0.51 * scales[..., None]).all()
    assert np.abs(blocked(codes)).max(-1).min() == largest_code
    padding = blocked(np.ones(shape)) == 0
    assert (blocked(codes)[padding] == 0).all()


@pytest.mark.parametrize("shape", [(1, 64), (1, 45), (1, 3, 40)])
@pytest.mark.parametrize("terms", [1, 2])
def test_the_terms_of_a_token_are_the_codes_of_a_chunk(run, shape, terms):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    codes, scales = quantize(run, x, terms=terms)
    split, token_scales, sums = quantize_token(run, x, terms=terms)
    by_term = split.reshape(*shape[:-1], -1, terms, BLOCK).astype(np.int64)
    assert np.abs(by_term).max() <= 127
    joined = by_term[..., 0, :] if terms == 1 else by_term[..., 0, :] * 254 + by_term[..., 1, :]
    np.testing.assert_array_equal(joined, blocked(codes))
    np.testing.assert_array_equal(scales, token_scales)
    np.testing.assert_array_equal(sums.reshape(by_term.shape[:-1]), by_term.sum(-1))


def test_every_code_splits_into_two_int8_terms(run):
    x = np.zeros((1, 64, 1024), np.float32)
    x.reshape(64, 32, 32)[:, :, 0] = 32258  # the largest of each block: its scale is 1
    values = np.linspace(-32258, 32258, 64 * 32 * 31).round().astype(np.float32)
    x.reshape(64, 32, 32)[:, :, 1:] = values.reshape(64, 32, 31)
    split, _, _ = quantize_token(run, x, terms=2)
    terms = split.reshape(64, 32, 2, 32).astype(np.int64)
    np.testing.assert_array_equal(terms[:, :, 0] * 254 + terms[:, :, 1], x.reshape(64, 32, 32))


def test_halves_go_to_the_even_code(run):
    x = np.zeros((1, 32), np.float32)
    x[0, :5] = [127, 0.5, 1.5, -0.5, -2.5]
    codes, _ = quantize(run, x)
    assert codes[0, :5].tolist() == [127, 0, 2, 0, -2]


@pytest.mark.parametrize("value", [0, 1e-31, -1e-40])
def test_a_block_of_next_to_nothing_is_zero(run, value):
    codes, scales = quantize(run, np.full((1, 32), value, np.float32))
    assert not codes.any()
    assert scales[0, 0] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_shows_in_the_scale_of_its_block_only(run, value):
    x = np.ones((2, 64), np.float32)
    x[0, 3] = value
    _, scales = quantize(run, x)
    assert np.isfinite(scales).tolist() == [[False, True], [True, True]]
