"""Rotating queries and keys by their position, and storing keys and values in the cache."""

from collections.abc import Iterator
from dataclasses import dataclass

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kv_cache import declare_cache
from ossc.compiler.backends.cpu.kv_cache.layout import Slot
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Buffer, Expr, Isa, Kernel, building, symbol
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType
from ossc.targets.errors import LoweringError


def rope_store(
    *,
    shape: AttentionShape,
    capacity: int,
    kv: KvType,
    n: int | None,
    isa: Isa,
    rotary_dim: int | None = None,
    query_scale: bool = False,
) -> Kernel:
    """Build the rotation (half-split, as in HF's Llama) and the store.

    Of each head the first r = ``rotary_dim`` columns are rotated, or all if it is None, and the
    others kept. With ``query_scale`` the queries are multiplied with a number for each token after
    their rotation.

    Parameters of the function: qkv ``[n, (num_heads + 2 · num_kv_heads) · head_dim]``, cos and sin
    ``[n, r / 2]``, positions int64 ``[n]``, with ``query_scale`` also that ``[n]``, the cache's
    buffers (updated in place) → queries ``[n, num_heads · head_dim]``, rotated; float32 but for
    positions and cache. One task for each token and key-value head, which also rotates the queries
    that share this head.

    Raises:
        LoweringError: The columns that are rotated have no two halves, or the head has fewer.
    """
    head_dim, kv_heads = shape.head_dim, shape.num_kv_heads
    rotary = _rotary_columns(head_dim, rotary_dim)
    heads = f"{shape.num_heads}x{kv_heads}x{head_dim}"
    options = [f"rotary{rotary}"] if rotary != head_dim else []
    options += ["scaled"] if query_scale else []
    with building(symbol("rope_store", kv, heads, *options, capacity, isa, n=n), n) as function:
        qkv = function.per_token("qkv", "float32", (shape.num_heads + 2 * kv_heads) * head_dim)
        cos, sin = (function.per_token(name, "float32", rotary // 2) for name in ("cos", "sin"))
        positions = function.per_token("positions", "int64")
        scales = function.per_token("query_scale", "float32") if query_scale else None
        cache = declare_cache(function, kv, shape.cache(capacity), ("token", capacity), isa)
        queries = function.per_token("queries", "float32", shape.num_heads * head_dim)
        with function.tasks(per_token=kv_heads) as task:
            token, kv_head = T.Bind(task // kv_heads), T.Bind(task % kv_heads)
            number = v.convert(positions[token] % v.constant(capacity, "int64"), "int32")
            slot = Slot(kv_head=kv_head, number=T.Bind(number))
            rows = _Rows(
                qkv=qkv, cos=cos, sin=sin, token=token, half=rotary // 2, head_dim=head_dim
            )
            with T.serial(shape.shared) as which:
                head = T.Bind((kv_head * shape.shared + which) * head_dim)
                for column, value, lanes in rows.rotated(head):
                    if scales is not None:
                        value = value * v.splat(scales[token], lanes)
                    v.store(queries, token, head + column, value=value, lanes=lanes)
            row = T.alloc_buffer((head_dim,), "float32")
            head = T.Bind((shape.num_heads + kv_head) * head_dim)
            for column, value, lanes in rows.rotated(head):
                v.store(row, column, value=value, lanes=lanes)
            cache.store_key(slot, row)
            head = T.Bind((shape.num_heads + kv_heads + kv_head) * head_dim)
            for at, value, lanes in rows.kept(head, 0):
                v.store(row, at, value=value, lanes=lanes)
            cache.store_value(slot, row)
    work = 3 * rotary * (shape.num_heads + kv_heads)
    work += shape.num_heads * head_dim if query_scale else 0
    return function.kernel("rope_store", "f32", Work(per_token=work), scheme=kv)


def _rotary_columns(head_dim: int, rotary_dim: int | None) -> int:
    rotary = head_dim if rotary_dim is None else rotary_dim
    if rotary % 2 or not 0 < rotary <= head_dim:
        raise LoweringError(
            f"{rotary} of a head's {head_dim} columns are rotated; give an even number of 2 or "
            "more, and no more than the head has."
        )
    return rotary


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """A token's row of queries, keys and values, and the angles of its position."""

    qkv: Buffer
    cos: Buffer
    sin: Buffer
    token: Expr

    half: int
    """Columns of a head that meet an angle; as many more come after them."""

    head_dim: int

    def rotated(self, head: Expr) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit loops over the columns of the head that begins at a column of the row.

        Yields:
            The number of a column in the head, the values there, and how many.
        """
        for at, lanes in v.spans(self.half):
            for column, value in self._pair(head, at, lanes):
                yield column, value, lanes
        yield from self.kept(head, 2 * self.half)

    def kept(self, head: Expr, first: int) -> Iterator[tuple[Expr, Expr, int]]:
        """Emit loops over a head's columns from ``first`` on, as they are."""
        for at, lanes in v.spans(self.head_dim - first):
            column = at + first if first else at
            yield column, v.load(self.qkv, self.token, head + column, lanes=lanes), lanes

    def _pair(self, head: Expr, at: Expr, lanes: int) -> list[tuple[Expr, Expr]]:
        """Return columns ``at`` and ``at + half`` of a head, each with its rotated value."""
        cos, sin = (v.load(angle, self.token, at, lanes=lanes) for angle in (self.cos, self.sin))
        low = v.load(self.qkv, self.token, head + at, lanes=lanes)
        high = v.load(self.qkv, self.token, head + self.half + at, lanes=lanes)
        return [
            (at, T.Bind(v.multiply_add(low, cos, -(high * sin)))),
            (at + self.half, T.Bind(v.multiply_add(high, cos, low * sin))),
        ]
