"""A layer of attention as the runtime runs it, chunk by chunk, and its result in float64."""

import numpy as np

from ossc.compiler.backends.cpu.kernels.attention.attention import attention
from ossc.compiler.backends.cpu.kernels.attention.attention_sections import (
    has_sections,
    most_sections,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.cpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.cpu.kv_cache import cache_buffers
from ossc.compiler.backends.cpu.kv_cache.layout import KEYS, TILE


class Layer:
    """Queries, keys and values of a whole text, and the kernels with their cache."""

    def __init__(
        self, run, shape, *, window, tokens, largest_chunk, kv="f32", isa="avx2", sinks=True
    ):
        self.run = run
        self.heads, self.kv_heads, self.head_dim = shape
        self.window, self.tokens = window, tokens
        self.shape = AttentionShape(
            num_heads=self.heads,
            num_kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            window=window,
            scale=self.head_dim**-0.5,
            sinks=sinks,
        )
        needed = window - 1 + largest_chunk if window else tokens
        self.capacity = -(-needed // TILE) * TILE
        self.kernel = {"shape": self.shape, "capacity": self.capacity, "kv": kv, "isa": isa}
        rng = np.random.default_rng(0)
        width = self.heads + 2 * self.kv_heads
        self.qkv = rng.standard_normal((tokens, width, self.head_dim)).astype(np.float32)
        self.sinks = rng.standard_normal(self.heads).astype(np.float32)
        """Only read if the shape has them."""
        self.reset()

    def reset(self):
        """Forget all keys; what is left in memory is NaN, or codes of -1 with NaN scales."""
        buffers = cache_buffers(self.kernel["kv"], self.shape.cache(self.capacity))
        self.cache = [(buffer.dtype, buffer.shape) for buffer in buffers]

    def attend(self, begin, end, *, n=None):
        """Store and attend the tokens ``begin`` to ``end``, not rotated; returns ``[n, …]``."""
        count = end - begin
        row = ("float32", (count, self.heads * self.head_dim))
        positions = np.arange(begin, end)
        cos = np.ones((count, self.head_dim // 2), np.float32)
        qkv = self.qkv[begin:end].reshape(count, -1)
        inputs = [qkv, cos, 0 * cos, positions]
        store = rope_store(**self.kernel, n=n)
        *self.cache, queries = self.run(store, inputs, [*self.cache, row], n=count)
        inputs = [queries, *self.cache, *self._sinks(), positions]
        if n == 1 and has_sections(self.shape, self.capacity):
            return self._attend_sections(inputs, positions)
        return self.run(attention(**self.kernel, n=n), inputs, [row], n=count)[0]

    def _sinks(self):
        return [self.sinks] if self.shape.sinks else []

    def _attend_sections(self, inputs, positions):
        size = (most_sections(self.shape, self.capacity), self.heads)
        outputs = [("float32", size), ("float32", size), ("float32", (*size, self.head_dim))]
        parts = self.run(section_attention(**self.kernel), inputs, outputs)
        join = join_sections(shape=self.shape, capacity=self.capacity)
        row = ("float32", (1, self.heads * self.head_dim))
        return self.run(join, [*self._sinks(), positions, *parts], [row])[0]

    def forget(self, positions):
        """Make the keys and values of some positions NaN."""
        for array in self.cache:
            if array.dtype == np.int8:
                continue
            if array.shape[1] == self.capacity:
                array[:, positions] = np.nan
            else:
                array[:, positions // KEYS, :, positions % KEYS] = np.nan

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
        scores = np.where(visible, scores, -np.inf)
        sinks = self.sinks.astype(np.float64)[:, None, None] if self.shape.sinks else -np.inf
        largest = np.maximum(scores.max(-1, keepdims=True), sinks)
        terms = np.exp(scores - largest)
        weights = terms / (terms.sum(-1, keepdims=True) + np.exp(sinks - largest))
        return np.einsum("hij,jhd->ihd", weights, v).reshape(self.tokens, -1)
