"""Attention of one token that sees few keys: one group for all keys of some heads."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, barrier, store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.kernels.attention.keys_seen import Softmax, Span, declare_sinks
from ossc.compiler.backends.gpu.kernels.attention.token_rows import (
    ITEMS,
    TokenRows,
    blocks_of_heads,
)
from ossc.compiler.backends.gpu.kv_cache.cache import declare_cache
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.kernel import Kernel, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType


def token_attention(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None = 1
) -> Kernel:
    """Build the attention of one token over the cache that `rope_store` fills.

    The token at position i sees the positions j with i - window < j ≤ i, all up to i if the window
    is 0. The cache's other places are never used, whatever they hold.

    Parameters of the function: queries ``[1, num_heads · head_dim]``, the cache's buffers, sinks
    ``[num_heads]`` if the shape has them, positions int32 ``[1]`` → out
    ``[1, num_heads · head_dim]``; float32 but for cache and positions. One group for each block of
    heads.
    """
    assert n == 1, "several tokens share tiles of keys"
    width = shape.num_heads * shape.head_dim
    cached = CacheShape(num_kv_heads=shape.num_kv_heads, capacity=capacity, head_dim=shape.head_dim)
    name = symbol("token_" + shape.operation, kv, shape.symbol, capacity, n=1)
    with building(name, 1) as function:
        queries = function.per_token("queries", "float32", width)
        cache = declare_cache(function, kv, cached, ("key", capacity))
        softmax = Softmax(shape, declare_sinks(function, shape))
        positions = function.per_token("positions", "int32")
        out = function.per_token("out", "float32", width)
        with function.grid(Groups(fixed=blocks_of_heads(shape)), block=(ITEMS,)) as item:
            seen = Span.seen(shape, T.Bind(positions[0]))
            rows = TokenRows(
                softmax=softmax, queries=queries, cache=cache, block=item.group[0], item=item.lane
            )
            rows.clear()
            first, count = seen.tiles(TILE)
            with T.serial(count) as index:
                rows.attend(T.Bind(first + index), seen)
            factors = Local(rows.count)
            for number, total, largest in rows.totals():
                sink = softmax.sink_term(rows.first_head + number, largest)
                factors[number] = 1 / (total + sink)
            barrier()
            for number, column, value in rows.values():
                at = (rows.first_head + number) * shape.head_dim + column
                store(out, 0, at, value=value * factors[number])
    products = Work(per_pair=4 * width)
    return function.kernel(shape.operation, "f32", products, scheme=kv, window=shape.window)
