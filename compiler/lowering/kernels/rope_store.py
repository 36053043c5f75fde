"""Rotating queries and keys by their position, and storing keys and values in the cache.

Keys are ``[num_kv_heads, capacity / 8, head_dim, 8]``: eight neighbours in the cache are the lanes
of a vector. Values are ``[num_kv_heads, capacity, head_dim]``. Position p is at p % capacity.
"""

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.kernel import Buffer, Expr, Kernel, Parts, building, symbol
from ossc.compiler.lowering.kernels.query_heads import KEYS
from ossc.runtimes.kernel_cost import Work


def rope_store(
    *, num_heads: int, num_kv_heads: int, head_dim: int, capacity: int, n: int | None
) -> Kernel:
    """Build the rotation (half-split, as in HF's Llama) and the store.

    Parameters of the function: qkv ``[n, (num_heads + 2 · num_kv_heads) · head_dim]``, cos and sin
    ``[n, head_dim / 2]``, positions int64 ``[n]``, keys and values (both updated in place) →
    queries ``[n, num_heads · head_dim]``, rotated; float32 but for the positions. One task for each
    token and key-value head, which also rotates the queries that share this head.
    """
    width = (num_heads + 2 * num_kv_heads) * head_dim
    half = head_dim // 2
    shared = num_heads // num_kv_heads
    shape = f"{num_heads}x{num_kv_heads}x{head_dim}"
    with building(symbol("rope_store", shape, capacity, n=n), n) as function:
        qkv = function.per_token("qkv", "float32", width)
        cos = function.per_token("cos", "float32", half)
        sin = function.per_token("sin", "float32", half)
        positions = function.per_token("positions", "int64")
        blocks = (num_kv_heads, capacity // KEYS, head_dim, KEYS)
        stored: Parts = ("token", capacity)
        keys = function.buffer("keys", "float32", *blocks, parts=stored)
        values = function.buffer(
            "values", "float32", num_kv_heads, capacity, head_dim, parts=stored
        )
        queries = function.per_token("queries", "float32", num_heads * head_dim)
        with function.tasks(per_token=num_kv_heads) as task:
            token, kv_head = T.Bind(task // num_kv_heads), T.Bind(task % num_kv_heads)
            slot = T.Bind(v.convert(positions[token] % v.constant(capacity, "int64"), "int32"))
            angles = (cos, sin)
            with T.serial(shared) as which:
                head = T.Bind((kv_head * shared + which) * head_dim)
                for at, lanes in v.spans(half):
                    low, high = _rotated(qkv, angles, token, head, half, at, lanes)
                    v.store(queries, token, head + at, value=low, lanes=lanes)
                    v.store(queries, token, head + half + at, value=high, lanes=lanes)
            head = T.Bind((num_heads + kv_head) * head_dim)
            with T.serial(half) as at:
                low, high = _rotated(qkv, angles, token, head, half, at, 1)
                for column, value in ((at, low), (at + half, high)):
                    place = (kv_head, slot // KEYS, column, slot % KEYS)
                    v.store(keys, *place, value=value, lanes=1)
            head = T.Bind((num_heads + num_kv_heads + kv_head) * head_dim)
            for at, lanes in v.spans(head_dim):
                value = v.load(qkv, token, head + at, lanes=lanes)
                v.store(values, kv_head, slot, at, value=value, lanes=lanes)
    rotated = (num_heads + num_kv_heads) * head_dim
    return function.kernel("rope_store", "f32", Work(per_token=3 * rotated))


def _rotated(
    qkv: Buffer,
    angles: tuple[Buffer, Buffer],
    token: Expr,
    head: Expr,
    half: int,
    at: Expr,
    lanes: int,
) -> tuple[Expr, Expr]:
    """Return elements ``at`` and ``at + half`` of a head, rotated."""
    cos, sin = (v.load(angle, token, at, lanes=lanes) for angle in angles)
    low = v.load(qkv, token, head + at, lanes=lanes)
    high = v.load(qkv, token, head + half + at, lanes=lanes)
    return (
        T.Bind(v.multiply_add(low, cos, -(high * sin))),
        T.Bind(v.multiply_add(high, cos, low * sin)),
    )
