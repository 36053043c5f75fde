"""A layer of attention as the runtime runs it on a GPU, chunk by chunk."""

import numpy as np

from attention_layer import Layer
from gpu_kernels import run_kernel
from ossc.compiler.backends.gpu.kernels.attention.chunk_attention import chunk_attention
from ossc.compiler.backends.gpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.gpu.kernels.attention.section_attention import (
    has_sections,
    join_sections,
    section_attention,
)
from ossc.compiler.backends.gpu.kernels.attention.token_attention import token_attention
from ossc.compiler.backends.gpu.kv_cache.cache import cache_buffers
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.lowering.library import KernelLibrary

LIBRARY = KernelLibrary()
"""Layers of one shape share their kernels."""


class GpuLayer(Layer):
    """Queries, keys and values of a whole text, and the kernels with their cache."""

    def __init__(
        self, shape, *, window, tokens, largest_chunk, kv="f32", sinks=True, driver="pocl"
    ):
        self.kv, self.driver, self.largest_chunk = kv, driver, largest_chunk
        options = {"window": window, "tokens": tokens, "largest_chunk": largest_chunk}
        super().__init__(None, shape, **options, sinks=sinks)

    def reset(self):
        """Forget all keys; what is left in memory is NaN, or codes of -1 with NaN scales."""
        self.capacity = -(-self.capacity // TILE) * TILE
        self.kernel = {"shape": self.shape, "capacity": self.capacity}
        cached = CacheShape(
            num_kv_heads=self.kv_heads, capacity=self.capacity, head_dim=self.head_dim
        )
        buffers = cache_buffers(self.kv, cached)
        self.cache = [np.full(buffer.shape, 0xFFFFFFFF, np.uint32) for buffer in buffers]

    def attend(self, begin, end, *, n=None):
        """Store and attend the tokens ``begin`` to ``end``, not rotated; returns ``[n, …]``."""
        count = end - begin
        positions = np.arange(begin, end, dtype=np.int32)
        cos = np.ones((count, self.head_dim // 2), np.float32)
        qkv = self.qkv[begin:end].reshape(count, -1)
        (queries,) = self._run(
            rope_store, [qkv, cos, 0 * cos, positions, *self.cache], count, kv=self.kv, n=n
        )
        inputs = [queries, *self.cache, *self._sinks(), positions]
        if n is None:
            return self._run(chunk_attention, inputs, count, kv=self.kv)[0]
        if not has_sections(self.shape, self.capacity):
            return self._run(token_attention, inputs, kv=self.kv)[0]
        inputs = [queries, *self.cache, positions]
        parts = self._run(section_attention, inputs, kv=self.kv)
        return self._run(join_sections, [*self._sinks(), positions, *parts])[0]

    def _run(self, build, inputs, tokens=1, **options):
        kernel = LIBRARY.get(build, **self.kernel, **options)
        return run_kernel(kernel, inputs, tokens, self.driver)

    def forget(self, positions):
        """Make the keys and values of some positions NaN."""
        keys, values = self.cache
        keys[:, positions // TILE, :, positions % TILE] = 0xFFFFFFFF
        values[:, positions] = 0xFFFFFFFF

    def one_by_one(self, first=0):
        """Attend to the whole text, to the tokens from ``first`` on one at a time."""
        self.reset()
        for begin in range(0, first, self.largest_chunk):
            self.attend(begin, min(begin + self.largest_chunk, first))
        return np.concatenate([self.attend(i, i + 1, n=1) for i in range(first, self.tokens)])
