"""Rotation, the cache's layout, and the types in which it holds keys and values."""

import numpy as np
import pytest

from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.cpu.kv_cache import cache_buffers
from ossc.targets.errors import LoweringError

POSITIONS = [3, 4, 5]
SHAPES = pytest.mark.parametrize("shape", [(8, 2, 64), (5, 1, 20), (2, 2, 16), (3, 1, 80)])


def store(
    run,
    shape,
    positions,
    *,
    capacity=32,
    n=None,
    kv="f32",
    isa="avx2",
    scale=1.0,
    bits=24,
    rotary_dim=None,
    query_scale=None,
):
    """Return the input heads ``[n, all, head_dim]``, cos, sin, cache and queries."""
    heads, kv_heads, head_dim = shape
    rng = np.random.default_rng(0)
    tokens = len(positions)
    qkv = rng.standard_normal((tokens, heads + 2 * kv_heads, head_dim)) * scale
    qkv = np.round(qkv / scale * 2**bits) * scale / 2**bits if scale else qkv
    angles = rng.uniform(0, 6, (tokens, (rotary_dim or head_dim) // 2))
    qkv, cos, sin = (x.astype(np.float32) for x in (qkv, np.cos(angles), np.sin(angles)))
    built = AttentionShape(
        num_heads=heads, num_kv_heads=kv_heads, head_dim=head_dim, window=0, scale=1.0, sinks=True
    )
    kernel = rope_store(
        shape=built,
        capacity=capacity,
        kv=kv,
        n=n,
        isa=isa,
        rotary_dim=rotary_dim,
        query_scale=query_scale is not None,
    )
    inputs = [qkv.reshape(tokens, -1), cos, sin, np.array(positions)]
    inputs += [] if query_scale is None else [query_scale]
    buffers = cache_buffers(kv, built.cache(capacity))
    outputs = [(buffer.dtype, buffer.shape) for buffer in buffers]
    outputs.append(("float32", (tokens, heads * head_dim)))
    *cache, queries = run(kernel, inputs, outputs, n=tokens)
    return qkv, cos, sin, cache, queries


def rotated(x, cos, sin):
    low, high = np.split(x.astype(np.float64), 2, axis=-1)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def by_position(keys):
    """Turn ``[kv_heads, blocks, columns, 16]`` into ``[kv_heads, positions, columns]``."""
    heads, blocks, columns, lanes = keys.shape
    return keys.swapaxes(2, 3).reshape(heads, blocks * lanes, columns)


@SHAPES
def test_queries_and_keys_are_rotated_and_values_are_not(run, shape):
    heads, kv_heads, head_dim = shape
    qkv, cos, sin, (keys, values), queries = store(run, shape, POSITIONS)
    expected = rotated(qkv, cos, sin)
    queries = queries.reshape(3, heads, head_dim)
    np.testing.assert_allclose(queries, expected[:, :heads], rtol=0, atol=1e-6)
    stored = by_position(keys)[:, POSITIONS].swapaxes(0, 1)
    np.testing.assert_allclose(stored, expected[:, heads : heads + kv_heads], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(values[:, POSITIONS].swapaxes(0, 1), qkv[:, heads + kv_heads :])


@pytest.mark.parametrize("n", [None, 1])
@pytest.mark.parametrize(
    ("shape", "rotary_dim"), [((4, 2, 40), 20), ((3, 1, 96), 48), ((2, 1, 7), 2)]
)
def test_only_the_first_columns_are_rotated(run, shape, rotary_dim, n):
    heads, kv_heads, _ = shape
    positions = POSITIONS[:n]
    options = {"rotary_dim": rotary_dim, "n": n}
    qkv, cos, sin, (keys, _), queries = store(run, shape, positions, **options)
    expected = qkv.astype(np.float64)
    expected[..., :rotary_dim] = rotated(qkv[..., :rotary_dim], cos, sin)
    queries = queries.reshape(len(positions), heads, -1)
    np.testing.assert_allclose(queries, expected[:, :heads], rtol=0, atol=1e-6)
    stored = by_position(keys)[:, positions].swapaxes(0, 1)
    np.testing.assert_allclose(stored, expected[:, heads : heads + kv_heads], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kv", ["f32", "int8"])
def test_queries_are_scaled_by_token_after_their_rotation_and_nothing_else_is(run, kv):
    factors = np.array([1.0, 1.25, 3.0], np.float32)
    *_, cache, queries = store(run, (4, 2, 20), POSITIONS, kv=kv)
    *_, same, scaled = store(run, (4, 2, 20), POSITIONS, kv=kv, query_scale=factors)
    np.testing.assert_array_equal(scaled, queries * factors[:, None])
    for one, other in zip(cache, same, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(("head_dim", "rotary_dim"), [(16, 5), (16, 18), (16, 0), (15, None)])
def test_columns_without_two_halves_are_refused(head_dim, rotary_dim):
    shape = AttentionShape(
        num_heads=2, num_kv_heads=1, head_dim=head_dim, window=0, scale=1.0, sinks=False
    )
    with pytest.raises(LoweringError, match="even number"):
        rope_store(shape=shape, capacity=32, kv="f32", n=1, isa="avx2", rotary_dim=rotary_dim)


@pytest.mark.parametrize("isa", ["avx2", "portable"])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 3e-7])
def test_float16_is_float32_rounded_to_the_nearest(run, isa, scale):
    shape = (5, 1, 20)
    *_, floats, _ = store(run, shape, POSITIONS, scale=scale)
    *_, halves, _ = store(run, shape, POSITIONS, scale=scale, kv="f16", isa=isa)
    for exact, half in zip(floats, halves, strict=True):
        written = np.isfinite(exact)
        np.testing.assert_array_equal(half[written], exact[written].astype(np.float16))


@pytest.mark.parametrize("isa", ["avx2", "portable"])
def test_float16_halfway_between_two_is_rounded_to_the_even_one(run, isa):
    options = {"bits": 12, "scale": 1.0}  # from 1 to 2 a quarter of such numbers are halfway
    *_, (_, values), _ = store(run, (5, 1, 20), POSITIONS, **options)
    *_, (_, halves), _ = store(run, (5, 1, 20), POSITIONS, **options, kv="f16", isa=isa)
    exact, half = (array[:, POSITIONS] for array in (values, halves))
    expected = exact.astype(np.float16)
    step = np.spacing(np.abs(expected)).astype(np.float32)
    assert (np.abs(expected.astype(np.float32) - exact) * 2 == step).any()
    np.testing.assert_array_equal(half, expected)


@pytest.mark.parametrize("isa", ["avx2", "portable"])
def test_what_is_beyond_float16_becomes_its_largest_number(run, isa):
    *_, (_, values), _ = store(run, (1, 1, 16), POSITIONS, scale=1e7, kv="f16", isa=isa)
    assert (np.abs(values[:, POSITIONS]) == np.float16(65504)).mean() > 0.9
    assert np.isfinite(values[:, POSITIONS]).all()


@pytest.mark.parametrize("shape", [(8, 2, 64), (5, 1, 20), (3, 1, 80)])
def test_int8_codes_times_their_scales_are_within_half_a_step(run, shape):
    *_, (keys, values), _ = store(run, shape, POSITIONS)
    *_, (key_codes, key_scales, codes, scales), _ = store(run, shape, POSITIONS, kv="int8")
    keys, key_codes, key_scales = (by_position(x) for x in (keys, key_codes, key_scales))
    for exact, code, scale in ((keys, key_codes, key_scales), (values, codes, scales)):
        steps = np.repeat(scale[:, POSITIONS], 32, axis=2)[:, :, : shape[2]]
        error = np.abs(code[:, POSITIONS] * steps - exact[:, POSITIONS])
        assert (error <= 0.5001 * steps).all()
        assert (np.abs(code[:, POSITIONS]).max(axis=2) == 127).all()


def test_int8_of_zeros_is_zero(run):
    *_, (keys, key_scales, *_), _ = store(run, (2, 1, 16), POSITIONS, scale=0.0, kv="int8")
    assert (by_position(keys)[:, POSITIONS] == 0).all()
    assert (by_position(key_scales)[:, POSITIONS] == 0).all()


def test_positions_wrap_around_and_other_places_stay(run):
    positions = [131070, 131071, 131072]
    *_, (keys, values), _ = store(run, (2, 1, 16), positions)
    written = sorted(position % 32 for position in positions)
    assert sorted(np.flatnonzero(np.isfinite(values[0, :, 0]))) == written
    assert sorted(np.flatnonzero(np.isfinite(by_position(keys)[0, :, 5]))) == written


@pytest.mark.parametrize("kv", ["f32", "int8"])
def test_one_token_and_a_chunk_agree_bit_for_bit(run, kv):
    *_, cache, queries = store(run, (4, 2, 20), [6], n=1, kv=kv)
    *_, chunk_cache, chunk_queries = store(run, (4, 2, 20), [6], kv=kv)
    for one, other in zip([*cache, queries], [*chunk_cache, chunk_queries], strict=True):
        assert one.tobytes() == other.tobytes()
