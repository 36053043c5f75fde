"""Attention over a KV cache: rotate and store, then attend over the cache."""

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kv_cache import cache_buffers
from ossc.compiler.backends.cpu.kv_cache.layout import TILE
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering import attention_call
from ossc.compiler.lowering.segment import LoweringOptions, SegmentBuilder


def cache_capacity(options: LoweringOptions, window: int) -> int:
    """Return the positions that a layer's cache holds; ``window`` is 0 for full attention."""
    return attention_call.cache_capacity(options, window, TILE)


def lower_rope_attention(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``RopeAttention``.

    The caches are the session's state, whatever their type; the node's outputs for them stay
    without a value.
    """
    shape = AttentionShape.of(call)
    capacity = cache_capacity(segment.options, shape.window)
    kv, isa = segment.options.kv, segment.options.target.host.kernel_isa
    rows, label = segment.static_rows, call.name
    inputs = attention_call.rotated_operands(segment, call)
    positions = attention_call.positions_of(segment, call)
    buffers = cache_buffers(kv, shape.cache(capacity))
    caches = attention_call.cache_parameters(
        segment, call, buffers, None if shape.window else capacity
    )
    store = KERNELS.kernel(
        segment,
        "RopeStore",
        shape=shape,
        capacity=capacity,
        kv=kv,
        n=rows,
        isa=isa,
        query_scale="query_scale" in call.options,
    )
    *caches, queries = segment.call(
        store,
        [*inputs, *caches],
        f"{label}/rope_store",
        in_place=range(len(inputs), len(inputs) + len(caches)),
    )
    sinks = attention_call.sink_operands(segment, call)
    arguments = [queries, *caches, *sinks, positions]
    attend = KERNELS.kernel(
        segment, "Attention", shape=shape, capacity=capacity, kv=kv, n=rows, isa=isa
    )
    results = segment.call(attend, arguments, label)
    if len(results) > 1:  # largest scores, totals and sums of sections
        join = KERNELS.kernel(segment, "JoinSections", shape=shape, capacity=capacity)
        results = segment.call(join, [*sinks, positions, *results], f"{label}/join_sections")
    (segment.values[call.node.outputs[0]],) = results
