"""Attention over a KV cache: rotate and store, then attend over the cache.

A cache that covers the whole context is a plain array. One of a sliding layer is a ring with room
for the window and a whole chunk, so a chunk can be stored before it is attended, and nothing that
is still visible is ever overwritten (docs/decisions/0002-ring-holds-window-and-chunk.md).
"""

import onnx_ir as ir
from tvm import relax

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kv_cache import cache_buffers
from ossc.compiler.backends.cpu.kv_cache.layout import TILE
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.segment import Expr, LoweringOptions, SegmentBuilder
from ossc.compiler.lowering.standard import operand


def cache_capacity(options: LoweringOptions, window: int) -> int:
    """Return the positions that a layer's cache holds; ``window`` is 0 for full attention."""
    needed = options.context
    if window:
        needed = min(needed, window - 1 + options.prefill_chunk)
    return -(-needed // TILE) * TILE


def lower_rope_attention(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``RopeAttention``.

    The caches are the session's state, whatever their type; the node's outputs for them stay
    without a value.
    """
    shape = _attention_shape(call)
    capacity = cache_capacity(segment.options, shape.window)
    kv, isa = segment.options.kv, segment.options.target.host.kernel_isa
    rows, label = segment.static_rows, call.name
    positions = _by_token(segment, call.input("position_ids"), [segment.rows])
    inputs = _rotated_inputs(segment, call, shape, positions)
    caches = _caches(segment, call.input("past_key"), shape, capacity)
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
    given = call.optional("sinks")
    sinks = [segment.float_parameter(given)] if given is not None else []
    arguments = [queries, *caches, *sinks, positions]
    attend = KERNELS.kernel(
        segment, "Attention", shape=shape, capacity=capacity, kv=kv, n=rows, isa=isa
    )
    results = segment.call(attend, arguments, label)
    if len(results) > 1:  # largest scores, totals and sums of sections
        join = KERNELS.kernel(segment, "JoinSections", shape=shape, capacity=capacity)
        results = segment.call(join, [*sinks, positions, *results], f"{label}/join_sections")
    (segment.values[call.node.outputs[0]],) = results


def _rotated_inputs(
    segment: SegmentBuilder, call: Call, shape: AttentionShape, positions: Expr
) -> list[Expr]:
    """Return what the rotation reads, before the caches."""
    half = shape.head_dim // 2
    angles = [_by_token(segment, call.input(x), [segment.rows, half]) for x in ("cos", "sin")]
    scale = call.optional("query_scale")
    scales = [_by_token(segment, scale, [segment.rows])] if scale is not None else []
    return [operand(segment, call.input("qkv")), *angles, positions, *scales]


def _attention_shape(call: Call) -> AttentionShape:
    sizes = ("num_heads", "num_kv_heads", "head_dim", "window")
    return AttentionShape(
        **{name: call.integer(name) for name in sizes},
        scale=call.number("scale"),
        sinks="sinks" in call.options,
    )


def _caches(
    segment: SegmentBuilder, past_key: ir.Value, shape: AttentionShape, capacity: int
) -> list[Expr]:
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


def _by_token(segment: SegmentBuilder, value: ir.Value, shape: list[int]) -> Expr:
    """Drop the batch dimension: ``[1, n, …]`` to ``[n, …]``, once for all layers."""
    (flat,) = segment.once(
        ("by_token", value),
        lambda: [segment.emit(relax.op.reshape(operand(segment, value), shape), f"{value}")],
    )
    return flat
