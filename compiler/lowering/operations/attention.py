"""Attention with sinks over a KV cache: rotate and store, then attend over the cache.

A cache that covers the whole context is a plain array. One of a sliding layer is a ring with room
for the window and a whole chunk, so a chunk can be stored before it is attended, and nothing that
is still visible is ever overwritten (docs/decisions/0002-ring-holds-window-and-chunk.md).
"""

import onnx_ir as ir
from tvm import relax

from ossc.compiler.lowering.kernels.rope_store import rope_store
from ossc.compiler.lowering.kernels.sink_attention import sink_attention
from ossc.compiler.lowering.operations.standard import operand
from ossc.compiler.lowering.segment import Expr, LoweringOptions, SegmentBuilder

KEYS_PER_BLOCK = 8
"""Keys that the key cache interleaves; capacities are multiples of it."""


def cache_capacity(options: LoweringOptions, window: int) -> int:
    """Return the positions that a layer's cache holds; ``window`` is 0 for full attention."""
    needed = options.context
    if window:
        needed = min(needed, window - 1 + options.prefill_chunk)
    return -(-needed // KEYS_PER_BLOCK) * KEYS_PER_BLOCK


def lower_sink_attention(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate ``SinkAttention(qkv, cos, sin, sinks, past_key, past_value, position_ids)``."""
    qkv, cos, sin, sinks, past_key, past_value, position_ids = node.inputs
    heads, kv_heads, head_dim, window = (
        node.attributes[name].as_int()
        for name in ("num_heads", "num_kv_heads", "head_dim", "window")
    )
    capacity = cache_capacity(segment.options, window)
    blocks = (kv_heads, capacity // KEYS_PER_BLOCK, head_dim, KEYS_PER_BLOCK)
    keys = _state(segment, past_key, blocks)
    values = _state(segment, past_value, (kv_heads, capacity, head_dim))
    positions = _by_token(segment, position_ids, [segment.rows])
    angles = [_by_token(segment, value, [segment.rows, head_dim // 2]) for value in (cos, sin)]
    label = node.name or ""
    store = rope_store(
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        capacity=capacity,
        n=segment.static_rows,
    )
    keys, values, queries = segment.call(
        store,
        [operand(segment, qkv), *angles, positions, keys, values],
        f"{label}/rope_store",
        in_place=(4, 5),
    )
    attend = sink_attention(
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        capacity=capacity,
        window=window,
        scale=node.attributes["scale"].as_float(),
        n=segment.static_rows,
    )
    arguments = [queries, keys, values, segment.float_parameter(sinks), positions]
    (segment.values[node.outputs[0]],) = segment.call(attend, arguments, label)
    segment.values[node.outputs[1]] = keys
    segment.values[node.outputs[2]] = values


def _state(segment: SegmentBuilder, past: ir.Value | None, shape: tuple[int, ...]) -> Expr:
    assert past is not None
    assert past.name
    return segment.parameter(past.name, "state", shape, "float32")


def _by_token(segment: SegmentBuilder, value: ir.Value | None, shape: list[int]) -> Expr:
    """Drop the batch dimension: ``[1, n, …]`` to ``[n, …]``, once for all layers."""
    (flat,) = segment.once(
        ("by_token", value),
        lambda: [segment.emit(relax.op.reshape(operand(segment, value), shape), f"{value}")],
    )
    return flat
