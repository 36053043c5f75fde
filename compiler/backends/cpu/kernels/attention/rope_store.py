"""Rotating queries and keys by their position, and storing keys and values in the cache."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import AttentionShape
from ossc.compiler.backends.cpu.kv_cache import declare_cache
from ossc.compiler.backends.cpu.kv_cache.layout import Slot
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa, Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType


def rope_store(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None, isa: Isa
) -> Kernel:
    """Build the rotation (half-split, as in HF's Llama) and the store.

    Parameters of the function: qkv ``[n, (num_heads + 2 · num_kv_heads) · head_dim]``, cos and sin
    ``[n, head_dim / 2]``, positions int64 ``[n]``, the cache's buffers (updated in place) → queries
    ``[n, num_heads · head_dim]``, rotated; float32 but for positions and cache. One task for each
    token and key-value head, which also rotates the queries that share this head.
    """
    head_dim, kv_heads = shape.head_dim, shape.num_kv_heads
    half = head_dim // 2
    heads = f"{shape.num_heads}x{kv_heads}x{head_dim}"
    with building(symbol("rope_store", kv, heads, capacity, isa, n=n), n) as function:
        qkv = function.per_token("qkv", "float32", (shape.num_heads + 2 * kv_heads) * head_dim)
        angles = tuple(function.per_token(name, "float32", half) for name in ("cos", "sin"))
        positions = function.per_token("positions", "int64")
        cache = declare_cache(function, kv, shape.cache(capacity), ("token", capacity), isa)
        queries = function.per_token("queries", "float32", shape.num_heads * head_dim)
        with function.tasks(per_token=kv_heads) as task:
            token, kv_head = T.Bind(task // kv_heads), T.Bind(task % kv_heads)
            number = v.convert(positions[token] % v.constant(capacity, "int64"), "int32")
            slot = Slot(kv_head=kv_head, number=T.Bind(number))
            with T.serial(shape.shared) as which:
                head = T.Bind((kv_head * shape.shared + which) * head_dim)
                for at, lanes in v.spans(half):
                    for column, value in _rotated(qkv, angles, token, head, half, at, lanes):
                        v.store(queries, token, head + column, value=value, lanes=lanes)
            row = T.alloc_buffer((head_dim,), "float32")
            head = T.Bind((shape.num_heads + kv_head) * head_dim)
            for at, lanes in v.spans(half):
                for column, value in _rotated(qkv, angles, token, head, half, at, lanes):
                    v.store(row, column, value=value, lanes=lanes)
            cache.store_key(slot, row)
            head = T.Bind((shape.num_heads + kv_heads + kv_head) * head_dim)
            for at, lanes in v.spans(head_dim):
                value = v.load(qkv, token, head + at, lanes=lanes)
                v.store(row, at, value=value, lanes=lanes)
            cache.store_value(slot, row)
    rotated = (shape.num_heads + kv_heads) * head_dim
    return function.kernel("rope_store", "f32", Work(per_token=3 * rotated), scheme=kv)


def _rotated(
    qkv: Buffer,
    angles: tuple[Buffer, ...],
    token: Expr,
    head: Expr,
    half: int,
    at: Expr,
    lanes: int,
) -> list[tuple[Expr, Expr]]:
    """Return columns ``at`` and ``at + half`` of a head, each with its rotated value."""
    cos, sin = (v.load(angle, token, at, lanes=lanes) for angle in angles)
    low = v.load(qkv, token, head + at, lanes=lanes)
    high = v.load(qkv, token, head + half + at, lanes=lanes)
    return [
        (at, T.Bind(v.multiply_add(low, cos, -(high * sin)))),
        (at + half, T.Bind(v.multiply_add(high, cos, low * sin))),
    ]
