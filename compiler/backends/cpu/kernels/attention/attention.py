"""Attention of tokens over the cached keys that they see, with or without sinks."""

from collections.abc import Iterator

import numpy as np
import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import (
    Rows,
    RowValues,
    Vectors,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_sections import (
    Joined,
    has_sections,
    numbers,
    section,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.attention_state import State
from ossc.compiler.backends.cpu.kernels.attention.attention_tiles import attend
from ossc.compiler.backends.cpu.kernels.attention.span import Span
from ossc.compiler.backends.cpu.kernels.tasks import spread
from ossc.compiler.backends.cpu.kv_cache import Cache, declare_cache
from ossc.compiler.backends.cpu.kv_cache.layout import lanes_of
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import (
    Expr,
    Isa,
    Kernel,
    KernelBuilder,
    building,
    symbol,
    with_variants,
)
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType

TOKENS = 8
"""Neighbouring tokens that share the reading of a tile of keys and values, at most."""

SCRATCH_BYTES = 512 << 10
"""Of a thread's stack, for what the rows of these tokens have added up."""


@with_variants
def attention(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None, isa: Isa
) -> Kernel:
    """Build attention over the cache that `rope_store` fills.

    The token at position i sees the positions j with i - window < j ≤ i, all up to i if the window
    is 0. The cache's other places are never used, whatever they hold.

    Parameters of the function: queries ``[n, num_heads · head_dim]``, the cache's buffers, sinks
    ``[num_heads]`` if the shape has them, positions int64 ``[n]``, ascending by one → out
    ``[n, num_heads · head_dim]``; float32 but for cache and positions. The work is a key-value head
    of up to `TOKENS` tokens; it is spread over a task for each token and key-value head.
    """
    width = shape.num_heads * shape.head_dim
    most_tokens = 1 if n == 1 else tokens_at_once(shape)
    name = symbol(shape.operation, kv, shape.symbol, capacity, n=n)
    with building(name, n) as function:
        queries = function.per_token("queries", "float32", width)
        cache = declare_cache(function, kv, shape.cache(capacity), ("key", capacity), isa)
        sinks = shape.declare_sinks(function)
        positions = function.per_token("positions", "int64")
        out = function.per_token("out", "float32", width)
        with function.tasks(per_token=shape.num_kv_heads) as task:
            units = _units(function, task, shape.num_kv_heads, most_tokens)
            for first_token, tokens, kv_head in units:
                rows = Rows(
                    shape=shape,
                    queries=queries,
                    sinks=sinks,
                    positions=positions,
                    kv_head=kv_head,
                    first_token=first_token,
                    tokens=tokens,
                    vectors=Vectors(lanes_of(isa)),
                )
                values = RowValues(buffer=out, place=rows.place, head_dim=shape.head_dim)
                if has_sections(shape, capacity):
                    _attend_sections(rows, cache, values, most_tokens)
                else:
                    state = State(rows, values, most_tokens)
                    attend(state, cache, rows.see())
                    state.finish()
    products = Work(per_pair=4 * width)
    return function.kernel(shape.operation, "f32", products, scheme=kv, window=shape.window)


def tokens_at_once(shape: AttentionShape) -> int:
    """Return how many tokens are worked on together: fewer if many heads share a key."""
    row_bytes = (shape.head_dim + 2 * v.LANES) * np.dtype(np.float32).itemsize
    return max(1, min(TOKENS, SCRATCH_BYTES // (shape.shared * row_bytes)))


def _units(
    function: KernelBuilder, task: Expr, kv_heads: int, most_tokens: int
) -> Iterator[tuple[Expr, Expr, Expr]]:
    """Emit a loop over the work of a task; yields (first token, tokens, key-value head)."""
    if function.single:
        yield v.constant(0, "int32"), 1, task
        return
    tiles = T.Bind((function.tokens + (most_tokens - 1)) // most_tokens)
    with T.serial(*spread(task, function.tokens * kv_heads, tiles * kv_heads)) as unit:
        first = T.Bind(unit // kv_heads * most_tokens)
        tokens = T.Bind(tvm.tirx.Min(function.tokens - first, v.constant(most_tokens, "int32")))
        yield first, tokens, T.Bind(unit % kv_heads)


def _attend_sections(rows: Rows, cache: Cache, values: RowValues, most_tokens: int) -> None:
    joined = Joined(rows, values, most_tokens)
    sums = T.alloc_buffer((most_tokens * rows.shape.shared, values.head_dim), "float32")
    part = RowValues(
        buffer=sums, place=lambda row, column: (row.number, column), head_dim=values.head_dim
    )
    state = State(rows, part, most_tokens)
    joined.clear()
    seen = rows.see()
    first, count = numbers(seen)
    with T.serial(count) as index:
        span = section(first + index, seen)
        attend(state, cache, span)
        for token in rows.each_token():
            _join(state, joined, token, span)
    joined.finish()


def _join(state: State, joined: Joined, token: Expr, span: Span) -> None:
    seen = state.rows.sees(token)
    some_seen = tvm.tirx.all(seen.begin < span.end, span.begin < seen.end)
    with T.If(some_seen), T.Then():
        for row in state.rows.each_row(token):
            joined.add(row, state.largest(row), state.total(row), state.values)
