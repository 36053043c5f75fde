"""Attention over the cache against float64, chunk by chunk as the runtime does it."""

import numpy as np
import pytest

import tolerances
from attention_layer import Layer
from kernel_operands import supported_isas
from ossc.runtimes.kv_type import KV_TYPES

OTHER_ISAS = [isa for isa in supported_isas() if isa not in ("avx2", "avx_vnni")]
"""With bodies of their own."""

USUAL = (4, 2, 20)
"""The shape where any will do: its kernels are compiled once. With up to 64 positions the cache has
64, without a window or with a short one."""

CASES = [
    pytest.param((8, 1, 64), 0, 70, 16, id="one-kv-head"),
    pytest.param((8, 2, 64), 20, 100, 16, id="window-beyond-chunk"),
    pytest.param((5, 1, 20), 7, 50, 12, id="window-below-chunk-not-dividing-it"),
    pytest.param((6, 2, 16), 33, 90, 64, id="window-of-a-tile-and-one"),
    pytest.param((2, 2, 80), 1, 20, 5, id="sees-itself-only"),
    pytest.param((3, 3, 16), 0, 40, 40, id="one-head-a-group"),
    pytest.param((7, 1, 18), 32, 65, 33, id="seven-heads-a-group"),
    pytest.param((8, 2, 32), 0, 1100, 300, id="three-sections"),
    pytest.param((2, 1, 12), 600, 1300, 200, id="window-of-more-than-a-section"),
]


@pytest.mark.parametrize(("shape", "window", "tokens", "chunk"), CASES)
def test_chunks_match_float64(run, shape, window, tokens, chunk):
    layer = Layer(run, shape, window=window, tokens=tokens, largest_chunk=chunk)
    out = layer.in_chunks(chunk)
    atol = tolerances.ATTENTION["f32"]
    np.testing.assert_allclose(out, layer.expected(), rtol=0, atol=atol)


@pytest.mark.parametrize("kv", ["f16", "int8"])
@pytest.mark.parametrize(("shape", "window"), [((8, 1, 64), 0), ((7, 1, 18), 32)])
def test_chunks_of_shorter_types_match_float64(run, shape, window, kv):
    layer = Layer(run, shape, window=window, tokens=100, largest_chunk=33, kv=kv)
    out = layer.in_chunks(33)
    atol = tolerances.ATTENTION[kv]
    np.testing.assert_allclose(out, layer.expected(), rtol=0, atol=atol)


@pytest.mark.parametrize("kv", KV_TYPES)
@pytest.mark.parametrize("window", [0, 9])
def test_one_token_at_a_time_agrees_with_chunks_bit_for_bit(run, window, kv):
    layer = Layer(run, USUAL, window=window, tokens=45, largest_chunk=45, kv=kv)
    chunk = layer.in_chunks(45)
    np.testing.assert_array_equal(layer.in_chunks(7), chunk)
    layer.reset()
    one_by_one = [layer.attend(token, token + 1, n=1) for token in range(layer.tokens)]
    np.testing.assert_array_equal(np.concatenate(one_by_one), chunk)


@pytest.mark.parametrize(("window", "kv"), [(0, "f32"), (600, "f32"), (0, "int8")])
def test_sections_give_a_single_token_what_a_chunk_gives_it_bit_for_bit(run, window, kv):
    layer = Layer(run, (4, 2, 16), window=window, tokens=1200, largest_chunk=150, kv=kv)
    chunk = layer.in_chunks(150)
    np.testing.assert_array_equal(layer.in_chunks(99), chunk)
    for token in (0, 511, 512, 800, 1023, 1024, 1199):
        layer.reset()
        for begin in range(0, token, 150):
            layer.attend(begin, min(begin + 150, token))
        np.testing.assert_array_equal(layer.attend(token, token + 1, n=1)[0], chunk[token])


@pytest.mark.parametrize(
    ("window", "position", "kv"),
    [
        (9, 43, "f32"),
        (9, 4, "f32"),
        (0, 43, "f32"),
        (33, 63, "f32"),
        (0, 600, "f32"),
        (9, 43, "f16"),
        (9, 43, "int8"),
    ],
)
def test_what_is_invisible_is_never_used(run, window, position, kv):
    tokens = max(position + 13, 56)
    layer = Layer(run, USUAL, window=window, tokens=tokens, largest_chunk=tokens, kv=kv)
    expected = layer.in_chunks(tokens)[position]
    first = max(0, position - window + 1) if window else 0
    slots = np.arange(layer.capacity)
    layer.forget(slots[(slots < first) | (slots > position)])
    out = layer.attend(position, position + 1, n=1)
    np.testing.assert_array_equal(out[0], expected)


@pytest.mark.parametrize("kv", KV_TYPES)
def test_a_later_token_that_is_not_finite_leaves_earlier_ones_as_they_are(run, kv):
    layer = Layer(run, USUAL, window=0, tokens=45, largest_chunk=45, kv=kv)
    expected = layer.in_chunks(45)
    layer.qkv[37, 4:] = np.nan
    out = layer.in_chunks(45)
    np.testing.assert_array_equal(out[:37], expected[:37])
    assert np.isnan(out[37:]).all()


@pytest.mark.parametrize("isa", OTHER_ISAS)
@pytest.mark.parametrize(("shape", "kv"), [*((USUAL, kv) for kv in KV_TYPES), ((18, 2, 48), "f32")])
def test_every_instruction_set_gives_the_same_bits(run, shape, kv, isa):
    options = {"window": 0, "tokens": 50, "largest_chunk": 50, "kv": kv}
    usual, other = (Layer(run, shape, isa=each, **options).in_chunks(50) for each in ("avx2", isa))
    np.testing.assert_array_equal(other, usual)


@pytest.mark.parametrize("isa", OTHER_ISAS)
def test_sections_have_the_same_bits_on_every_instruction_set(run, isa):
    options = {"window": 0, "tokens": 600, "largest_chunk": 300}
    layers = [Layer(run, (9, 1, 40), isa=each, **options) for each in ("avx2", isa)]
    for layer in layers:
        layer.attend(0, 300)
        layer.attend(300, 599)
    usual, other = (layer.attend(599, 600, n=1) for layer in layers)
    np.testing.assert_array_equal(other, usual)


def test_a_failed_chunk_leaves_what_is_visible_before_it(run):
    layer = Layer(run, (2, 1, 16), window=8, tokens=40, largest_chunk=8)
    expected = layer.in_chunks(8)
    layer.reset()
    layer.attend(0, 8)
    layer.attend(8, 16)  # stored, but as if the call had failed: attend again
    again = layer.attend(8, 16)
    np.testing.assert_array_equal(again, expected[8:16])


@pytest.mark.parametrize("sink", [-1e30, 80.0])
@pytest.mark.parametrize("tokens", [9, 530])
def test_a_sink_of_any_size_gives_finite_results(run, sink, tokens):
    layer = Layer(run, (2, 1, 16), window=0, tokens=tokens, largest_chunk=tokens)
    layer.sinks[:] = sink
    out = layer.in_chunks(tokens)
    atol = tolerances.ATTENTION["f32"]
    np.testing.assert_allclose(out, layer.expected(), rtol=0, atol=atol)
