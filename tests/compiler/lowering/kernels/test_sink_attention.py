"""Attention over the cache against float64, chunk by chunk as the runtime does it."""

import numpy as np
import pytest

import tolerances
from ossc.compiler.lowering.kernels.rope_store import rope_store
from ossc.compiler.lowering.kernels.sink_attention import sink_attention


class Layer:
    """Queries, keys and values of a whole text, and the two kernels with their cache."""

    def __init__(self, run, shape, *, window, tokens, largest_chunk):
        self.run = run
        self.heads, self.kv_heads, self.head_dim = shape
        self.window, self.tokens = window, tokens
        needed = window - 1 + largest_chunk if window else tokens
        self.capacity = -(-needed // 8) * 8
        rng = np.random.default_rng(0)
        width = self.heads + 2 * self.kv_heads
        self.qkv = rng.standard_normal((tokens, width, self.head_dim)).astype(np.float32)
        self.sinks = rng.standard_normal(self.heads).astype(np.float32)
        self.reset()

    def reset(self):
        """Forget all keys; what is left in memory is NaN."""
        self.keys = ("float32", (self.kv_heads, self.capacity // 8, self.head_dim, 8))
        self.values = ("float32", (self.kv_heads, self.capacity, self.head_dim))

    def attend(self, begin, end, *, n=None):
        """Store and attend the tokens ``begin`` to ``end``, not rotated; returns ``[n, …]``."""
        shape = {
            "num_heads": self.heads,
            "num_kv_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "capacity": self.capacity,
            "n": n,
        }
        count = end - begin
        row = ("float32", (count, self.heads * self.head_dim))
        positions = np.arange(begin, end)
        cos = np.ones((count, self.head_dim // 2), np.float32)
        qkv = self.qkv[begin:end].reshape(count, -1)
        inputs = [qkv, cos, 0 * cos, positions]
        outputs = [self.keys, self.values, row]
        self.keys, self.values, queries = self.run(rope_store(**shape), inputs, outputs, n=count)
        kernel = sink_attention(**shape, window=self.window, scale=self.head_dim**-0.5)
        inputs = [queries, self.keys, self.values, self.sinks, positions]
        return self.run(kernel, inputs, [row], n=count)[0]

    def in_chunks(self, size):
        """Attend to the whole text from the start."""
        self.reset()
        begins = range(0, self.tokens, size)
        return np.concatenate([self.attend(b, min(b + size, self.tokens)) for b in begins])

    def expected(self):
        """Return the result in float64."""
        x = self.qkv.astype(np.float64)
        q, k, v = np.split(x, [self.heads, self.heads + self.kv_heads], axis=1)
        k, v = (np.repeat(y, self.heads // self.kv_heads, axis=1) for y in (k, v))
        scores = np.einsum("ihd,jhd->hij", q, k) * self.head_dim**-0.5
        i, j = np.ogrid[: self.tokens, : self.tokens]
        visible = (j <= i) & ((i - j < self.window) | (self.window == 0))
        terms = np.where(visible, np.exp(scores), 0)
        sinks = np.exp(self.sinks.astype(np.float64))[:, None, None]
        weights = terms / (terms.sum(-1, keepdims=True) + sinks)
        return np.einsum("hij,jhd->ihd", weights, v).reshape(self.tokens, -1)


CASES = [
    pytest.param((8, 1, 64), 0, 70, 16, id="one-kv-head"),
    pytest.param((8, 2, 64), 20, 100, 16, id="window-beyond-chunk"),
    pytest.param((5, 1, 20), 7, 50, 12, id="window-below-chunk-not-dividing-it"),
    pytest.param((6, 2, 16), 33, 90, 64, id="window-of-a-tile-and-one"),
    pytest.param((2, 2, 80), 1, 20, 5, id="sees-itself-only"),
    pytest.param((3, 3, 16), 0, 40, 40, id="one-head-a-group"),
    pytest.param((7, 1, 18), 32, 65, 33, id="seven-heads-a-group"),
]


@pytest.mark.parametrize(("shape", "window", "tokens", "chunk"), CASES)
def test_chunks_match_float64(run, shape, window, tokens, chunk):
    layer = Layer(run, shape, window=window, tokens=tokens, largest_chunk=chunk)
    out = layer.in_chunks(chunk)
    np.testing.assert_allclose(out, layer.expected(), rtol=0, atol=tolerances.ATTENTION)


@pytest.mark.parametrize("window", [0, 9])
def test_one_token_at_a_time_agrees_with_chunks_bit_for_bit(run, window):
    layer = Layer(run, (4, 2, 20), window=window, tokens=45, largest_chunk=45)
    chunk = layer.in_chunks(45)
    np.testing.assert_array_equal(layer.in_chunks(7), chunk)
    layer.reset()
    one_by_one = [layer.attend(token, token + 1, n=1) for token in range(layer.tokens)]
    np.testing.assert_array_equal(np.concatenate(one_by_one), chunk)


@pytest.mark.parametrize(("window", "position"), [(9, 43), (9, 4), (0, 43), (33, 63)])
def test_what_is_invisible_is_never_used(run, window, position):
    layer = Layer(run, (3, 1, 20), window=window, tokens=64, largest_chunk=64)
    expected = layer.in_chunks(64)[position]
    first = max(0, position - window + 1) if window else 0
    invisible = [p for p in range(layer.capacity) if not first <= p <= position]
    layer.values[:, invisible] = np.nan
    layer.keys[:, np.array(invisible) // 8, :, np.array(invisible) % 8] = np.nan
    out = layer.attend(position, position + 1, n=1)
    np.testing.assert_array_equal(out[0], expected)


def test_a_failed_chunk_leaves_what_is_visible_before_it(run):
    layer = Layer(run, (2, 1, 16), window=8, tokens=40, largest_chunk=8)
    expected = layer.in_chunks(8)
    layer.reset()
    layer.attend(0, 8)
    layer.attend(8, 16)  # stored, but as if the call had failed: attend again
    again = layer.attend(8, 16)
    np.testing.assert_array_equal(again, expected[8:16])


@pytest.mark.parametrize("sink", [-1e30, 80.0])
def test_a_sink_of_any_size_gives_finite_results(run, sink):
    layer = Layer(run, (2, 1, 16), window=0, tokens=9, largest_chunk=9)
    layer.sinks[:] = sink
    out = layer.in_chunks(9)
    np.testing.assert_allclose(out, layer.expected(), rtol=0, atol=tolerances.ATTENTION)
