"""Attention over the cache on a GPU's driver against float64, chunk by chunk and token by token."""

import numpy as np
import pytest

import tolerances
from gpu_attention_layer import GpuLayer
from ossc.compiler.backends.gpu.kernels.attention.section_attention import has_sections, sections

CASES = [
    pytest.param((8, 1, 64), 0, 70, 33, "f32", True, id="one-kv-head"),
    pytest.param((5, 1, 20), 7, 90, 12, "f16", True, id="window-below-chunk-not-dividing-it"),
    pytest.param((6, 2, 18), 33, 150, 64, "int8", True, id="window-of-more-than-half-a-tile"),
    pytest.param((10, 1, 130), 100, 130, 70, "f16", False, id="ten-heads-of-130"),
]


@pytest.mark.parametrize(("shape", "window", "tokens", "chunk", "kv", "sinks"), CASES)
def test_chunks_and_single_tokens_match_float64(shape, window, tokens, chunk, kv, sinks):
    layer = GpuLayer(shape, window=window, tokens=tokens, largest_chunk=chunk, kv=kv, sinks=sinks)
    expected, atol = layer.expected(), tolerances.ATTENTION[kv]
    np.testing.assert_allclose(layer.in_chunks(chunk), expected, rtol=0, atol=atol)
    first = max(0, tokens - 8)
    np.testing.assert_allclose(layer.one_by_one(first), expected[first:], rtol=0, atol=atol)


@pytest.mark.parametrize(("window", "kv", "sinks"), [(0, "f32", True), (300, "f16", False)])
def test_a_token_that_sees_many_keys_joins_what_groups_made_of_its_sections(window, kv, sinks):
    layer = GpuLayer((4, 2, 16), window=window, tokens=700, largest_chunk=350, kv=kv, sinks=sinks)
    assert has_sections(layer.shape, layer.capacity)
    assert sections(layer.shape, layer.capacity) > 1
    expected, atol = layer.expected(), tolerances.ATTENTION[kv]
    np.testing.assert_allclose(layer.one_by_one(695), expected[695:], rtol=0, atol=atol)
    layer.reset()
    first = layer.attend(0, 1, n=1)
    np.testing.assert_allclose(first[0], expected[0], rtol=0, atol=atol)


def test_what_is_invisible_is_never_used():
    position, tokens, window = 70, 80, 9
    layer = GpuLayer((3, 1, 20), window=window, tokens=tokens, largest_chunk=tokens)
    expected = layer.in_chunks(tokens)
    layer.qkv[position + 1 :, 3:] = np.nan
    np.testing.assert_array_equal(layer.in_chunks(tokens)[: position + 1], expected[: position + 1])
    slots = np.arange(layer.capacity)
    layer.forget(slots[(slots <= position - window) | (slots > position)])
    atol = tolerances.ATTENTION["f32"]
    out = layer.attend(position, position + 1, n=1)
    np.testing.assert_allclose(out[0], expected[position], rtol=0, atol=atol)


@pytest.mark.parametrize("sink", [-1e30, 80.0])
def test_a_sink_of_any_size_gives_finite_results(sink):
    layer = GpuLayer((2, 1, 16), window=0, tokens=300, largest_chunk=300)
    layer.sinks[:] = sink
    expected, atol = layer.expected(), tolerances.ATTENTION["f32"]
    np.testing.assert_allclose(layer.in_chunks(300), expected, rtol=0, atol=atol)
    np.testing.assert_allclose(layer.one_by_one(299), expected[299:], rtol=0, atol=atol)


def test_scores_of_any_size_are_relative_to_the_largest():
    """With -3e4 for every score a term that is not relative to it would be all there is."""
    layer = GpuLayer((2, 1, 16), window=0, tokens=40, largest_chunk=40, sinks=False)
    layer.qkv[:, :2] = 100  # queries
    layer.qkv[:, 2] = -75 + np.arange(40)[:, None] % 3 / 64  # keys
    out = layer.in_chunks(40)
    np.testing.assert_allclose(out, layer.expected(), rtol=0, atol=1e-2)
    assert np.abs(out).max() > 1
