"""Rotating queries and keys by their position, and storing keys and values in the cache."""

from collections.abc import Iterator
from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, barrier, i32, store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.kv_cache.cache import declare_cache
from ossc.compiler.backends.gpu.kv_cache.layout import CacheShape
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType
from ossc.targets.errors import LoweringError

ITEMS = 64


def rope_store(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None, query_scale: bool = False
) -> Kernel:
    """Build the rotation (half-split, as in HF's Llama) and the store.

    With ``query_scale`` the queries are multiplied with a number for each token after their
    rotation.

    Parameters of the function: qkv ``[n, (num_heads + 2 · num_kv_heads) · head_dim]``, cos and sin
    ``[n, head_dim / 2]``, positions int32 ``[n]``, with ``query_scale`` also that ``[n]``, the
    cache's buffers (updated in place) → queries ``[n, num_heads · head_dim]``, rotated; float32 but
    for positions and cache. One group for each key-value head and token, which also rotates the
    queries that share this head.

    Raises:
        LoweringError: A head's columns have no two halves.
    """
    head_dim, kv_heads = shape.head_dim, shape.num_kv_heads
    if head_dim % 2:
        raise LoweringError(
            f"The {head_dim} columns of a head are rotated in two halves; it needs an even number."
        )
    cached = CacheShape(num_kv_heads=kv_heads, capacity=capacity, head_dim=head_dim)
    heads = f"{shape.num_heads}x{kv_heads}x{head_dim}"
    options = ["scaled"] if query_scale else []
    with building(symbol("rope_store", kv, heads, *options, capacity, n=n), n) as function:
        qkv = function.per_token("qkv", "float32", (shape.num_heads + 2 * kv_heads) * head_dim)
        cos, sin = (function.per_token(name, "float32", head_dim // 2) for name in ("cos", "sin"))
        positions = function.per_token("positions", "int32")
        scales = function.per_token("query_scale", "float32") if query_scale else None
        cache = declare_cache(function, kv, cached, ("token", capacity))
        queries = function.per_token("queries", "float32", shape.num_heads * head_dim)
        grid = (Groups(fixed=kv_heads), Groups(per_token=1))
        with function.grid(*grid, block=(ITEMS,)) as each_item:
            kv_head, token, item = each_item.group[0], each_item.group[1], each_item.lane
            row = _Row(qkv=qkv, cos=cos, sin=sin, token=token, half=head_dim // 2)
            first_query = T.Bind(kv_head * shape.shared)
            for number in each(shape.shared * row.half, item, ITEMS):
                head = T.Bind(first_query + number // row.half)
                for column, value in row.rotated(head, T.Bind(number % row.half)):
                    scaled = value if scales is None else value * scales[token]
                    store(queries, token, head * head_dim + column, value=scaled)
            key, value = cache.row(item, ITEMS), cache.row(item, ITEMS)
            row.rotate_to(key, T.Bind(kv_head + shape.num_heads), item)
            row.copy_to(value, T.Bind(kv_head + (shape.num_heads + kv_heads)), item)
            barrier()
            slot = T.Bind(tirx.truncmod(positions[token], i32(capacity)))
            cache.store_key(kv_head, slot, key, item, ITEMS)
            cache.store_value(kv_head, slot, value, item, ITEMS)
    work = 3 * head_dim * (shape.num_heads + kv_heads)
    work += shape.num_heads * head_dim if query_scale else 0
    return function.kernel("rope_store", "f32", Work(per_token=work), scheme=kv)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A token's row of queries, keys and values, and the angles of its position."""

    qkv: Buffer
    cos: Buffer
    sin: Buffer
    token: Expr

    half: int
    """Of a head's columns."""

    def rotated(self, head: Expr, at: Expr) -> Iterator[tuple[Expr, Expr]]:
        """Give the columns ``at`` and ``at + half`` of a head, each with its rotated value."""
        cos, sin = (T.Bind(angle[self.token, at]) for angle in (self.cos, self.sin))
        first = T.Bind(head * (2 * self.half) + at)
        low, high = (T.Bind(self.qkv[self.token, first + i * self.half]) for i in (0, 1))
        yield at, low * cos - high * sin
        yield at + self.half, high * cos + low * sin

    def rotate_to(self, row: Local, head: Expr, item: Expr) -> None:
        """Emit a head's rotation into local memory."""
        for at in each(self.half, item, ITEMS):
            for column, value in self.rotated(head, at):
                row[column] = value

    def copy_to(self, row: Local, head: Expr, item: Expr) -> None:
        """Emit a head's copy into local memory."""
        head_dim = 2 * self.half
        for column in each(head_dim, item, ITEMS):
            row[column] = self.qkv[self.token, head * head_dim + column]
