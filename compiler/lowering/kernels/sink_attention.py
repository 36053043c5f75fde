"""Attention of a token over the cached keys that it sees, with a sink for each head.

Keys are taken in tiles of 32 neighbouring positions, aligned at multiples of 32, so a token meets
the same tiles in the same order however many tokens a call has. The softmax is built up tile by
tile (Milakov and Gimelshein 2018; FlashAttention): the sink is its first term, and what is added up
so far is rescaled when a tile brings a larger score.
"""

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernels import vectors as v
from ossc.compiler.lowering.kernels.attention_scores import Scores
from ossc.compiler.lowering.kernels.attention_values import add_values
from ossc.compiler.lowering.kernels.kernel import Expr, Kernel, building, symbol
from ossc.compiler.lowering.kernels.query_heads import KEYS, TILE, VECTORS, QueryHeads, Tile
from ossc.runtimes.kernel_cost import Work


def sink_attention(
    *,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    capacity: int,
    window: int,
    scale: float,
    n: int | None,
) -> Kernel:
    """Build attention over the cache that `rope_store` fills.

    The token at position i sees the positions j with i - window < j ≤ i, all up to i if ``window``
    is 0. The cache's other places are never used, whatever they hold.

    Parameters of the function: queries ``[n, num_heads · head_dim]``, keys and values (see
    `rope_store`), sinks ``[num_heads]``, positions int64 ``[n]`` → out
    ``[n, num_heads · head_dim]``; float32 but for the positions. One task for each token and
    key-value head.
    """
    shape = f"{num_heads}x{num_kv_heads}x{head_dim}"
    name = symbol("sink_attention", shape, capacity, window, scale, n=n)
    with building(name, n) as function:
        queries = function.per_token("queries", "float32", num_heads * head_dim)
        blocks = (num_kv_heads, capacity // KEYS, head_dim, KEYS)
        keys = function.buffer("keys", "float32", *blocks, parts=("key", capacity))
        values = function.buffer(
            "values", "float32", num_kv_heads, capacity, head_dim, parts=("key", capacity)
        )
        sinks = function.buffer("sinks", "float32", num_heads)
        positions = function.per_token("positions", "int64")
        out = function.per_token("out", "float32", num_heads * head_dim)
        with function.tasks(per_token=num_kv_heads) as task:
            heads = QueryHeads(
                queries=queries,
                keys=keys,
                values=values,
                sinks=sinks,
                out=out,
                token=T.Bind(task // num_kv_heads),
                kv_head=T.Bind(task % num_kv_heads),
                shared=num_heads // num_kv_heads,
                head_dim=head_dim,
            )
            last = T.Bind(v.convert(positions[heads.token], "int32"))
            first = T.Bind(v.maximum(last - (window - 1), 0)) if window else 0
            _attend(heads, first, last, scale)
    products = Work(per_pair=4 * num_heads * head_dim)
    return function.kernel("sink_attention", "f32", products, window=window)


def _attend(heads: QueryHeads, first: Expr, last: Expr, scale: float) -> None:
    """Emit the attention of some heads to the positions ``first`` to ``last``, both included."""
    scores = Scores(heads, scale)
    for head, columns, lanes in heads.outputs():
        heads.put(head, columns, lanes, v.splat(v.constant(0, "float32"), lanes))
    slots = v.Registers(VECTORS, "int32", lanes=1)
    capacity_blocks = int(heads.keys.ty.shape[1])
    with T.serial(first // TILE, last // TILE + 1) as number:
        for vector in range(VECTORS):
            slots[vector] = (number * VECTORS + vector) % capacity_blocks
        begin = T.Bind(v.maximum(first - number * TILE, 0))
        end = T.Bind(tvm.tirx.Min(last - number * TILE + 1, v.constant(TILE, "int32")))
        tile = Tile(begin=begin, end=end, slots=slots)
        for head, count in heads.blocks():
            scores.compute(head, count, tile)
            with T.serial(count) as which:
                scores.exponentiate(head + which, which)
            add_values(heads, scores, head, count, tile)
    for head, columns, lanes in heads.outputs():
        value = heads.get(head, columns, lanes) / v.splat(scores.total[head], lanes)
        heads.put(head, columns, lanes, value)
