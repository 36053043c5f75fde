"""Attention over a KV cache: rotate and store, then attend over the cache."""

from collections.abc import Sequence

from ossc.compiler.backends.gpu.kernel_table import KERNELS
from ossc.compiler.backends.gpu.kernels.attention.section_attention import has_sections
from ossc.compiler.backends.gpu.kv_cache.cache import cache_buffers
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering import attention_call
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.segment import Expr, SegmentBuilder


def lower_rope_attention(segment: SegmentBuilder, call: Call) -> None:
    """Translate ``RopeAttention``.

    The caches are the session's state, whatever their type; the node's outputs for them stay
    without a value.
    """
    attention = _Attention(segment, call)
    *caches, queries = attention.store()
    (segment.values[call.node.outputs[0]],) = attention.attend(queries, caches)


class _Attention:
    """A node's shape and cache, and the calls of its kernels."""

    def __init__(self, segment: SegmentBuilder, call: Call) -> None:
        self._segment, self._call = segment, call
        self._shape = shape = AttentionShape.of(call)
        self._kv = segment.options.kv
        self._capacity = attention_call.cache_capacity(segment.options, shape.window, TILE)
        self._positions = attention_call.positions_of(segment, call)

    def store(self) -> list[Expr]:
        """Emit the rotation and the store; returns the updated caches and the queries."""
        inputs = attention_call.rotated_operands(self._segment, self._call)
        caches = self._caches()
        kernel = KERNELS.kernel(
            self._segment,
            "RopeStore",
            shape=self._shape,
            capacity=self._capacity,
            kv=self._kv,
            query_scale="query_scale" in self._call.options,
            n=self._segment.static_rows,
        )
        label = f"{self._call.name}/rope_store"
        in_place = range(len(inputs), len(inputs) + len(caches))
        return self._segment.call(kernel, [*inputs, *caches], label, in_place=in_place)

    def _caches(self) -> list[Expr]:
        shape = self._shape
        cached = CacheShape(
            num_kv_heads=shape.num_kv_heads, capacity=self._capacity, head_dim=shape.head_dim
        )
        positions = None if shape.window else self._capacity
        buffers = cache_buffers(self._kv, cached)
        return attention_call.cache_parameters(self._segment, self._call, buffers, positions)

    def attend(self, queries: Expr, caches: Sequence[Expr]) -> list[Expr]:
        """Emit the attention over the caches."""
        segment, label = self._segment, self._call.name
        sinks = attention_call.sink_operands(segment, self._call)
        sees_sections = has_sections(self._shape, self._capacity) and segment.static_rows == 1
        attend = KERNELS.kernel(
            segment,
            "SectionAttention" if sees_sections else "Attention",
            shape=self._shape,
            capacity=self._capacity,
            kv=self._kv,
            n=segment.static_rows,
        )
        if not sees_sections:
            arguments = [queries, *caches, *sinks, self._positions]
            return segment.call(attend, arguments, label)
        parts = segment.call(attend, [queries, *caches, self._positions], label)
        join = KERNELS.kernel(segment, "JoinSections", shape=self._shape, capacity=self._capacity)
        return segment.call(join, [*sinks, self._positions, *parts], f"{label}/join_sections")
