"""Attention with sinks over a KV cache: rotate and store, then attend over the cache.

A cache that covers the whole context is a plain array. One of a sliding layer is a ring with room
for the window and a whole chunk, so a chunk can be stored before it is attended, and nothing that
is still visible is ever overwritten (docs/decisions/0002-ring-holds-window-and-chunk.md).
"""

import onnx_ir as ir
from tvm import relax

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.attention_sections import has_sections
from ossc.compiler.backends.cpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.cpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.cpu.kernels.attention.sink_attention import sink_attention
from ossc.compiler.backends.cpu.kv_cache import cache_buffers
from ossc.compiler.backends.cpu.kv_cache.layout import TILE
from ossc.compiler.lowering.segment import Expr, LoweringOptions, SegmentBuilder
from ossc.compiler.lowering.standard import operand


def cache_capacity(options: LoweringOptions, window: int) -> int:
    """Return the positions that a layer's cache holds; ``window`` is 0 for full attention."""
    needed = options.context
    if window:
        needed = min(needed, window - 1 + options.prefill_chunk)
    return -(-needed // TILE) * TILE


def lower_sink_attention(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``SinkAttention(qkv, cos, sin, sinks, past_key, past_value, position_ids)``.

    The caches are the session's state, whatever their type; the node's outputs for them stay
    without a value.
    """
    qkv, cos, sin, sinks, past_key, _, position_ids = node.inputs
    shape = _attention_shape(node)
    capacity = cache_capacity(segment.options, shape.window)
    kv, isa = segment.options.kv, segment.options.target.host.kernel_isa
    rows = segment.static_rows
    positions = _by_token(segment, position_ids, [segment.rows])
    angles = [_by_token(segment, x, [segment.rows, shape.head_dim // 2]) for x in (cos, sin)]
    label = node.name or ""
    inputs = [operand(segment, qkv), *angles, positions]
    caches = _caches(segment, past_key, shape, capacity)
    *caches, queries = segment.call(
        segment.kernel(rope_store, shape=shape, capacity=capacity, kv=kv, n=rows, isa=isa),
        [*inputs, *caches],
        f"{label}/rope_store",
        in_place=range(len(inputs), len(inputs) + len(caches)),
    )
    sink = segment.float_parameter(sinks)
    arguments = [queries, *caches, sink, positions]
    if rows == 1 and has_sections(shape, capacity):
        attend = segment.kernel(section_attention, shape=shape, capacity=capacity, kv=kv, isa=isa)
        parts = segment.call(attend, arguments, label)
        join = segment.kernel(join_sections, shape=shape, capacity=capacity)
        results = segment.call(join, [sink, positions, *parts], f"{label}/join_sections")
    else:
        attend = segment.kernel(
            sink_attention, shape=shape, capacity=capacity, kv=kv, n=rows, isa=isa
        )
        results = segment.call(attend, arguments, label)
    (segment.values[node.outputs[0]],) = results


def _attention_shape(node: ir.Node) -> AttentionShape:
    heads, kv_heads, head_dim, window = (
        node.attributes[name].as_int()
        for name in ("num_heads", "num_kv_heads", "head_dim", "window")
    )
    return AttentionShape(
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        window=window,
        scale=node.attributes["scale"].as_float(),
    )


def _caches(
    segment: SegmentBuilder, past_key: ir.Value | None, shape: AttentionShape, capacity: int
) -> list[Expr]:
    assert past_key is not None
    buffers = cache_buffers(segment.options.kv, shape.cache(capacity))
    return [
        segment.parameter(
            f"{past_key.name}/{buffer.name}",
            "state",
            buffer.shape,
            buffer.dtype,
            positions=None if shape.window else capacity,
        )
        for buffer in buffers
    ]


def _by_token(segment: SegmentBuilder, value: ir.Value | None, shape: list[int]) -> Expr:
    """Drop the batch dimension: ``[1, n, …]`` to ``[n, …]``, once for all layers."""
    (flat,) = segment.once(
        ("by_token", value),
        lambda: [segment.emit(relax.op.reshape(operand(segment, value), shape), f"{value}")],
    )
    return flat
