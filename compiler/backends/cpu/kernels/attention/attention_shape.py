"""What an attention kernel of CPUs is built for."""

from dataclasses import dataclass

from ossc.compiler.backends.cpu.kv_cache.layout import CacheShape
from ossc.compiler.lowering import attention_shape
from ossc.compiler.lowering.kernel import Buffer, KernelBuilder


@dataclass(frozen=True, kw_only=True)
class AttentionShape(attention_shape.AttentionShape):
    """Heads, which keys they see, and the cache that holds these."""

    def cache(self, capacity: int) -> CacheShape:
        """Return the shape of the KV cache."""
        return CacheShape(num_kv_heads=self.num_kv_heads, capacity=capacity, head_dim=self.head_dim)

    def declare_sinks(self, function: KernelBuilder) -> Buffer | None:
        """Add the sinks ``[num_heads]`` to a function, if there are any."""
        return function.buffer("sinks", "float32", self.num_heads) if self.sinks else None
