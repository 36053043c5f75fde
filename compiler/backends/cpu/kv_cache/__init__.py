"""The types of KV caches: one file each.

A file has ``buffers(shape)`` and a class with ``store_key(slot, row)``, ``store_value(slot, row)``
and ``reader()``, whose ``open(place, seen)`` gives a `Tile`.
"""

from ossc.compiler.backends.cpu.kv_cache import float16, float32, int8
from ossc.compiler.backends.cpu.kv_cache.layout import CacheShape
from ossc.compiler.lowering.attention_call import CacheBuffer
from ossc.compiler.lowering.kernel import Isa, KernelBuilder, Parts
from ossc.runtimes.kv_type import KvType

Cache = float32.Float32Cache | float16.Float16Cache | int8.Int8Cache


def cache_buffers(kv: KvType, shape: CacheShape) -> tuple[CacheBuffer, ...]:
    """Return the buffers of a layer's cache."""
    makers = {"f32": float32.buffers, "f16": float16.buffers, "int8": int8.buffers}
    return makers[kv](shape)


def declare_cache(
    function: KernelBuilder, kv: KvType, shape: CacheShape, parts: Parts, isa: Isa
) -> Cache:
    """Add the buffers of a cache to a function; ``parts`` says what a call touches of them."""
    declared = [
        function.buffer(buffer.name, buffer.dtype, *buffer.shape, parts=parts)
        for buffer in cache_buffers(kv, shape)
    ]
    if kv == "f32":
        return float32.Float32Cache(shape, declared)
    if kv == "f16":
        return float16.Float16Cache(shape, declared, isa)
    return int8.Int8Cache(shape, declared, isa)
