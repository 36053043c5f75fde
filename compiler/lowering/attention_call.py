"""A node of ``RopeAttention`` as kernels take it: what it reads, and the caches that it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir
from tvm import relax

from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.segment import Expr, LoweringOptions, SegmentBuilder
from ossc.compiler.lowering.standard import operand


@dataclass(frozen=True, kw_only=True)
class CacheBuffer:
    """One of the buffers that a layer's KV cache consists of."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def cache_capacity(options: LoweringOptions, window: int, multiple: int) -> int:
    """Return the positions that a layer's cache holds.

    A cache that covers the whole context is a plain array. One of a sliding layer is a ring with
    room for the window and a whole chunk, so a chunk can be stored before it is attended, and
    nothing that is still visible is ever overwritten
    (docs/decisions/0002-ring-holds-window-and-chunk.md).

    Args:
        options: What for.
        window: Of the layer; 0 for full attention.
        multiple: What the capacity is a multiple of.
    """
    needed = options.context
    if window:
        needed = min(needed, window - 1 + options.prefill_chunk)
    return -(-needed // multiple) * multiple


def cache_parameters(
    segment: SegmentBuilder, call: Call, buffers: Sequence[CacheBuffer], positions: int | None
) -> list[Expr]:
    """Return the parameters that hold the cache of a node, which are the session's state.

    Args:
        segment: The segment.
        call: The node.
        buffers: Of the cache.
        positions: How many a cache of the whole context has room for; None for a ring.
    """
    name = call.input("past_key").name
    return [
        segment.parameter(
            f"{name}/{buffer.name}", "state", buffer.shape, buffer.dtype, positions=positions
        )
        for buffer in buffers
    ]


def positions_of(segment: SegmentBuilder, call: Call) -> Expr:
    """Return the position of each token ``[n]``."""
    return _by_token(segment, call.input("position_ids"), [segment.rows])


def rotated_operands(segment: SegmentBuilder, call: Call) -> list[Expr]:
    """Return what rotation and store read: qkv, cos, sin, positions, and the queries' scales."""
    half = call.integer("head_dim") // 2
    angles = [_by_token(segment, call.input(x), [segment.rows, half]) for x in ("cos", "sin")]
    scale = call.optional("query_scale")
    scales = [_by_token(segment, scale, [segment.rows])] if scale is not None else []
    qkv = operand(segment, call.input("qkv"))
    return [qkv, *angles, positions_of(segment, call), *scales]


def sink_operands(segment: SegmentBuilder, call: Call) -> list[Expr]:
    """Return the sinks as float32, if the node has some."""
    sinks = call.optional("sinks")
    return [segment.float_parameter(sinks)] if sinks is not None else []


def _by_token(segment: SegmentBuilder, value: ir.Value, shape: list[int]) -> Expr:
    """Drop the batch dimension: ``[1, n, …]`` to ``[n, …]``, once for all layers."""
    (flat,) = segment.once(
        ("by_token", value),
        lambda: [segment.emit(relax.op.reshape(operand(segment, value), shape), f"{value}")],
    )
    return flat
