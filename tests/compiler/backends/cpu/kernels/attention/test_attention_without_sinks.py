"""Attention whose softmax has the visible keys only, and the shapes of other families."""

from dataclasses import replace

import numpy as np
import pytest

import tolerances
from attention_layer import Layer
from kernel_operands import supported_isas
from ossc.compiler.backends.cpu.kernels.attention.attention import TOKENS, attention, tokens_at_once
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.targets.errors import LoweringError

OTHER_ISAS = [isa for isa in supported_isas() if isa not in ("avx2", "avx_vnni")]

SHAPE = AttentionShape(num_heads=4, num_kv_heads=2, head_dim=16, window=0, scale=0.25, sinks=False)


def layer(run, shape, *, window=0, tokens=60, chunk=25, kv="f32", isa="avx2"):
    options = {"window": window, "tokens": tokens, "largest_chunk": chunk}
    return Layer(run, shape, **options, kv=kv, isa=isa, sinks=False)


@pytest.mark.parametrize(
    ("shape", "window", "tokens", "chunk"),
    [
        pytest.param((2, 2, 80), 1, 20, 5, id="sees-itself-only"),
        pytest.param((15, 3, 40), 0, 60, 25, id="odd-heads"),
        pytest.param((9, 1, 96), 33, 90, 25, id="one-kv-head-and-a-window"),
        pytest.param((4, 2, 128), 0, 1100, 300, id="sections-of-128-columns"),
        pytest.param((2, 1, 256), 600, 800, 200, id="window-of-more-than-a-section"),
    ],
)
def test_chunks_match_float64(run, shape, window, tokens, chunk):
    case = layer(run, shape, window=window, tokens=tokens, chunk=chunk)
    atol = tolerances.ATTENTION["f32"]
    np.testing.assert_allclose(case.in_chunks(chunk), case.expected(), rtol=0, atol=atol)


@pytest.mark.parametrize("kv", ["f16", "int8"])
@pytest.mark.parametrize(("shape", "window"), [((6, 2, 40), 0), ((3, 1, 80), 32)])
def test_chunks_of_shorter_types_match_float64(run, kv, shape, window):
    case = layer(run, shape, window=window, kv=kv)
    atol = tolerances.ATTENTION[kv]
    np.testing.assert_allclose(case.in_chunks(25), case.expected(), rtol=0, atol=atol)


@pytest.mark.parametrize(("tokens", "window"), [(45, 0), (45, 9), (600, 0)])
def test_a_token_has_the_bits_that_it_has_in_a_chunk(run, tokens, window):
    case = layer(run, (4, 2, 20), window=window, tokens=tokens, chunk=tokens)
    chunk = case.in_chunks(tokens)
    case.reset()
    case.attend(0, tokens - 2)
    for token in (tokens - 2, tokens - 1):
        np.testing.assert_array_equal(case.attend(token, token + 1, n=1)[0], chunk[token])


@pytest.mark.parametrize("isa", OTHER_ISAS)
@pytest.mark.parametrize("tokens", [50, 530])
def test_every_instruction_set_gives_the_same_bits(run, isa, tokens):
    usual, other = (
        layer(run, (10, 2, 40), tokens=tokens, chunk=tokens, isa=each) for each in ("avx2", isa)
    )
    np.testing.assert_array_equal(other.in_chunks(tokens), usual.in_chunks(tokens))


@pytest.mark.parametrize("tokens", [9, 530])
def test_scores_of_any_size_are_relative_to_the_largest(run, tokens):
    """With -3e4 for every score a term that is not relative to it would be all there is."""
    case = layer(run, (2, 1, 16), tokens=tokens, chunk=tokens)
    case.qkv[:, :2] = 100  # queries
    case.qkv[:, 2] = -75 + np.arange(tokens)[:, None] % 3 / 64  # keys
    out = case.in_chunks(tokens)
    np.testing.assert_allclose(out, case.expected(), rtol=0, atol=1e-2)
    assert np.abs(out).max() > 1


def test_one_visible_key_gives_its_value(run):
    case = layer(run, (4, 1, 20), tokens=1, chunk=1)
    case.qkv *= 50
    value = case.qkv[0, 5]
    np.testing.assert_array_equal(case.attend(0, 1, n=1)[0], np.tile(value, 4))


@pytest.mark.parametrize(
    "change",
    [
        {"num_heads": 5},
        {"num_kv_heads": 0},
        {"head_dim": 0},
        {"window": -1},
        {"scale": 0.0},
        {"scale": float("nan")},
    ],
)
def test_heads_that_do_not_share_evenly_and_senseless_numbers_are_refused(change):
    with pytest.raises(LoweringError, match="Attention has"):
        replace(SHAPE, **change)


def test_a_cache_beyond_the_kernels_indices_is_refused():
    shape = replace(SHAPE, num_heads=32, num_kv_heads=32, head_dim=128)
    with pytest.raises(LoweringError, match="choose a shorter context"):
        attention(shape=shape, capacity=1 << 20, kv="f16", n=1, isa="avx2")


def test_many_heads_on_a_key_do_not_fill_the_stack():
    many = replace(SHAPE, num_heads=128, num_kv_heads=1, head_dim=256)
    assert tokens_at_once(SHAPE) == TOKENS
    assert 1 <= tokens_at_once(many) < TOKENS


def test_rows_of_many_heads_match_float64(run):
    case = layer(run, (71, 1, 256), tokens=12, chunk=12)
    atol = tolerances.ATTENTION["f32"]
    np.testing.assert_allclose(case.in_chunks(12), case.expected(), rtol=0, atol=atol)
