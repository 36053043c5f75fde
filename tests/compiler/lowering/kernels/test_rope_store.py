"""Rotation and the cache's layout."""

import numpy as np
import pytest

from ossc.compiler.lowering.kernels.rope_store import rope_store


def store(run, heads, kv_heads, head_dim, capacity, positions, *, n=None, seed=0):
    """Return the input heads ``[n, all, head_dim]``, cos, sin, and (keys, values, queries)."""
    rng = np.random.default_rng(seed)
    tokens = len(positions)
    qkv = rng.standard_normal((tokens, heads + 2 * kv_heads, head_dim)).astype(np.float32)
    angles = rng.uniform(0, 6, (tokens, head_dim // 2))
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    kernel = rope_store(
        num_heads=heads, num_kv_heads=kv_heads, head_dim=head_dim, capacity=capacity, n=n
    )
    inputs = [qkv.reshape(tokens, -1), cos, sin, np.array(positions)]
    outputs = [
        ("float32", (kv_heads, capacity // 8, head_dim, 8)),
        ("float32", (kv_heads, capacity, head_dim)),
        ("float32", (tokens, heads * head_dim)),
    ]
    return qkv, cos, sin, run(kernel, inputs, outputs, n=tokens)


def rotated(x, cos, sin):
    low, high = np.split(x.astype(np.float64), 2, axis=-1)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "head_dim"), [(8, 2, 64), (5, 1, 20), (2, 2, 16), (3, 1, 80)]
)
def test_queries_and_keys_are_rotated_and_values_are_not(run, heads, kv_heads, head_dim):
    positions = [3, 4, 5]
    qkv, cos, sin, (keys, values, queries) = store(run, heads, kv_heads, head_dim, 16, positions)
    expected = rotated(qkv, cos, sin)
    queries = queries.reshape(3, heads, head_dim)
    np.testing.assert_allclose(queries, expected[:, :heads], rtol=0, atol=1e-6)
    by_position = keys.transpose(0, 1, 3, 2).reshape(kv_heads, 16, head_dim)
    stored = by_position[:, positions].swapaxes(0, 1)
    np.testing.assert_allclose(stored, expected[:, heads : heads + kv_heads], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(values[:, positions].swapaxes(0, 1), qkv[:, heads + kv_heads :])


def test_positions_wrap_around_and_other_places_stay(run):
    *_, (keys, values, _) = store(run, 2, 1, 16, 8, [131070, 131071, 131072])
    written = [131070 % 8, 131071 % 8, 0]
    assert sorted(np.flatnonzero(np.isfinite(values[0, :, 0]))) == sorted(written)
    assert sorted(np.flatnonzero(np.isfinite(keys[0, 0, 5]))) == sorted(written)


def test_one_token_and_a_chunk_agree_bit_for_bit(run):
    shape = (4, 2, 20, 8)
    *_, (keys, values, queries) = store(run, *shape, [6], n=1)
    *_, (chunk_keys, chunk_values, chunk_queries) = store(run, *shape, [6])
    np.testing.assert_array_equal(queries, chunk_queries)
    np.testing.assert_array_equal(keys, chunk_keys)
    np.testing.assert_array_equal(values, chunk_values)
