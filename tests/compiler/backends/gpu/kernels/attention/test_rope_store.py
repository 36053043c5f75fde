"""Rotation on a GPU's driver, and that caches hold what the CPU's hold."""

import numpy as np
import pytest

from gpu_kernels import run_kernel
from ossc.compiler.backends.gpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.gpu.kv_cache.cache import cache_buffers
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.targets.errors import LoweringError

HEADS, KV_HEADS, HEAD_DIM = 4, 2, 40
CAPACITY = 2 * TILE
POSITIONS = np.array([CAPACITY - 1, CAPACITY, CAPACITY + 1], np.int32)
SLOTS = POSITIONS % CAPACITY


def store(kv, *, qkv=None, query_scale=None, n=None):
    """Return the input heads ``[n, all, head_dim]``, cos, sin, keys, values and queries."""
    rng = np.random.default_rng(0)
    count = len(POSITIONS[:n])
    if qkv is None:
        qkv = rng.standard_normal((count, HEADS + 2 * KV_HEADS, HEAD_DIM)).astype(np.float32)
    angles = rng.uniform(0, 6, (count, HEAD_DIM // 2))
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    shape = AttentionShape(
        num_heads=HEADS, num_kv_heads=KV_HEADS, head_dim=HEAD_DIM, window=0, scale=1.0, sinks=True
    )
    kernel = rope_store(
        shape=shape, capacity=CAPACITY, kv=kv, n=n, query_scale=query_scale is not None
    )
    cached = CacheShape(num_kv_heads=KV_HEADS, capacity=CAPACITY, head_dim=HEAD_DIM)
    cache = [np.zeros(buffer.shape, np.uint32) for buffer in cache_buffers(kv, cached)]
    inputs = [qkv.reshape(count, -1), cos, sin, POSITIONS[:n]]
    inputs += [] if query_scale is None else [query_scale]
    (queries,) = run_kernel(kernel, [*inputs, *cache], count)
    return qkv, cos, sin, by_token(cache, SLOTS[:n]), queries.reshape(count, HEADS, HEAD_DIM)


def by_token(cache, slots):
    """Return the words of keys and values as ``[n, kv_heads, words]``."""
    keys, values = cache
    return [keys[:, slots // TILE, :, slots % TILE], values[:, slots].swapaxes(0, 1)]


def rotated(x, cos, sin):
    low, high = np.split(x.astype(np.float64), 2, axis=-1)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


@pytest.mark.parametrize("n", [None, 1])
def test_queries_and_keys_are_rotated_and_scaled_and_values_are_not(n):
    factors = np.array([1.5, 1.25, 3.0], np.float32)[:n]
    qkv, cos, sin, cache, queries = store("f32", query_scale=factors, n=n)
    keys, values = (words.view(np.float32) for words in cache)
    expected = rotated(qkv, cos, sin)
    scaled = expected[:, :HEADS] * factors[:, None, None]
    np.testing.assert_allclose(queries, scaled, rtol=0, atol=3e-6)
    np.testing.assert_allclose(keys, expected[:, HEADS:-KV_HEADS], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(values, qkv[:, -KV_HEADS:])


def test_float16_is_rounded_to_even_and_limited_and_nan_stays():
    rng = np.random.default_rng(1)
    qkv = rng.standard_normal((3, HEADS + 2 * KV_HEADS, HEAD_DIM)).astype(np.float32)
    row = qkv[0, -1]
    row[:8] = [65504, 65520, 1e30, -np.inf, 2.0**-24, 2.0**-25, 3 * 2.0**-25, np.nan]
    row[8:12] = [2049, 2051, -6.1e-5, 0]  # halfway to even, the largest subnormals
    qkv[1, -1] *= 1e-6
    *_, (_, values), _ = store("f16", qkv=qkv)
    stored = values.view(np.float16)[..., :HEAD_DIM]
    expected = np.clip(qkv[:, -KV_HEADS:], -65504, 65504).astype(np.float16)
    np.testing.assert_array_equal(stored, expected)


def test_int8_has_the_codes_and_scales_of_the_cpu():
    rng = np.random.default_rng(2)
    qkv = rng.standard_normal((3, HEADS + 2 * KV_HEADS, HEAD_DIM)).astype(np.float32)
    qkv[1, -1, :32] *= 2.0**-104  # zeros
    qkv[2, -1, 3] = np.inf
    *_, (_, values), _ = store("int8", qkv=qkv)
    words = HEAD_DIM // 4
    codes = np.ascontiguousarray(values[..., :words]).view(np.int8)
    scales = np.ascontiguousarray(values[..., words:]).view(np.float32)
    given = qkv[:, -KV_HEADS:]
    for group, columns in enumerate((slice(0, 32), slice(32, HEAD_DIM))):
        part = given[..., columns]
        largest = np.abs(part).max(axis=-1)
        finite = np.isfinite(largest) & (largest >= 2.0**-100)
        np.testing.assert_array_equal(
            scales[..., group][finite], (largest / np.float32(127))[finite]
        )
        exact = np.rint(part[finite] * (np.float32(127) / largest[finite])[:, None])
        np.testing.assert_array_equal(codes[..., columns][finite], exact)
    assert scales[1, -1, 0] == 0
    assert (codes[1, -1, :32] == 0).all()
    assert not np.isfinite(scales[2, -1, 0])


def test_a_head_of_an_odd_number_of_columns_is_refused():
    shape = AttentionShape(
        num_heads=1, num_kv_heads=1, head_dim=15, window=0, scale=1.0, sinks=False
    )
    with pytest.raises(LoweringError, match="two halves"):
        rope_store(shape=shape, capacity=64, kv="f32", n=1)


def test_a_cache_beyond_the_kernels_indices_is_refused():
    with pytest.raises(LoweringError, match="choose a shorter context"):
        cache_buffers("f32", CacheShape(num_kv_heads=32, capacity=1 << 20, head_dim=128))
