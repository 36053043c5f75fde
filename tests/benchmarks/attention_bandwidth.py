"""Attention of one token against reading its keys and values once, and of a chunk; on one thread.

    PYTHONPATH=.links python tests/benchmarks/attention_bandwidth.py

64 query heads on 8 key-value heads of 64 columns. The limit is the time in which a plain loop reads
the bytes of the cache; both alternate, over more caches than the last level holds. Times are the
processor's, so what other programs take of it stays out.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from kernel_bandwidth import instruction_sets, paged, read_probe, seconds
from numpy.typing import NDArray

from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.kernels.attention.attention import attention
from ossc.compiler.backends.cpu.kernels.attention.attention_sections import (
    has_sections,
    most_sections,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.cpu.kv_cache import cache_buffers
from ossc.compiler.lowering.kernel import Isa, Kernel
from ossc.runtimes.kv_type import KV_TYPES, KvType
from ossc.targets import resolve_target

SHAPE = AttentionShape(num_heads=64, num_kv_heads=8, head_dim=64, window=0, scale=0.125, sinks=True)
KEYS = (128, 4096, 16384)
CHUNK = (128, 2048)
"""Tokens, and the keys that the last of them sees."""

CACHES_BYTES = 256 << 20
"""Of all caches together: far larger than the last level."""

CALLS = 24

Arrays = Sequence[NDArray[Any]]


def caches(kv: KvType, capacity: int) -> list[Arrays]:
    """Return caches of ordinary numbers."""
    numbers = np.random.default_rng(0).standard_normal(1 << 16)
    buffers = cache_buffers(kv, SHAPE.cache(capacity))
    one = [
        np.resize(numbers * (40 if buffer.dtype == "int8" else 1), buffer.shape).astype(
            buffer.dtype
        )
        for buffer in buffers
    ]
    count = max(1, min(40, CACHES_BYTES // sum(array.nbytes for array in one)))
    return [[paged(array) for array in one] for _ in range(count)]


def bind(
    kernel: Kernel, target: dict[str, Any], tokens: int, calls: Sequence[Arrays]
) -> list[Callable[[], object]]:
    """Compile a kernel, and bind its buffers for each of some calls."""
    function = generate_code({kernel.name: kernel.func}, tvm.target.Target(target))[kernel.name]
    tasks = kernel.tasks.fixed + kernel.tasks.per_token * tokens
    tensors = [[tvm.runtime.from_dlpack(array) for array in arrays] for arrays in calls]
    return [partial(function, *each, 0, tasks) for each in tensors]


def floats(*shape: int) -> NDArray[Any]:
    """Return zeros in pages of their own."""
    return paged(np.zeros(shape, np.float32))


def token_calls(
    kv: KvType, isa: Isa, target: dict[str, Any], keys: int, all_caches: list[Arrays]
) -> list[Callable[[], object]]:
    """Return the attention of one token for each of the caches."""
    heads, width = SHAPE.num_heads, SHAPE.num_heads * SHAPE.head_dim
    queries, out, sinks = floats(1, width), floats(1, width), floats(heads)
    queries[:] = np.random.default_rng(1).standard_normal(width)
    position = paged(np.array([keys - 1]))
    if not has_sections(SHAPE, keys):
        kernel = attention(shape=SHAPE, capacity=keys, kv=kv, n=1, isa=isa)
        calls = [[queries, *cache, sinks, position, out] for cache in all_caches]
        return bind(kernel, target, 1, calls)
    count = most_sections(SHAPE, keys)
    parts = [floats(count, heads), floats(count, heads), floats(count, heads, SHAPE.head_dim)]
    kernel = section_attention(shape=SHAPE, capacity=keys, kv=kv, isa=isa)
    calls = [[queries, *cache, sinks, position, *parts] for cache in all_caches]
    attends = bind(kernel, target, 1, calls)
    join = join_sections(shape=SHAPE, capacity=keys)
    (joins,) = bind(join, target, 1, [[sinks, position, *parts, out]])
    return [partial(both, attend, joins) for attend in attends]


def both(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Call one after the other."""
    first()
    second()


def measure_token(
    kv: KvType,
    isa: Isa,
    target: dict[str, Any],
    keys: int,
    read: Callable[[NDArray[np.uint8]], object],
) -> str:
    """Return a row of the table of single tokens."""
    all_caches = caches(kv, keys)
    calls = token_calls(kv, isa, target, keys, all_caches)
    half = len(all_caches) // 2  # what is read is not what was just attended to
    others = [*all_caches[half:], *all_caches[:half]]
    pairs = list(islice(cycle(zip(calls, others, strict=True)), CALLS))
    times = [
        (seconds(call), sum(seconds(partial(read, array)) for array in cache))
        for call, cache in pairs
    ]
    attention, reading = np.median(np.array(times), axis=0)
    gflops = 4 * SHAPE.num_heads * SHAPE.head_dim * keys / attention / 1e9
    return (
        f"| {isa} | {kv} | {keys} | {attention * 1e3:.3f} | {gflops:.0f} "
        f"| {reading / attention:.2f} |"
    )


def measure_chunk(kv: KvType, isa: Isa, target: dict[str, Any]) -> str:
    """Return a row of the table of chunks."""
    tokens, keys = CHUNK
    kernel = attention(shape=SHAPE, capacity=keys, kv=kv, n=None, isa=isa)
    width = SHAPE.num_heads * SHAPE.head_dim
    queries = floats(tokens, width)
    queries[:] = np.random.default_rng(1).standard_normal((tokens, width))
    positions = paged(np.arange(keys - tokens, keys))
    arrays = [queries, *caches(kv, keys)[0], floats(SHAPE.num_heads), positions]
    (call,) = bind(kernel, target, tokens, [[*arrays, floats(tokens, width)]])
    call()
    took = np.median([seconds(call) for _ in range(CALLS // 3)])
    gflops = 4 * width * (positions + 1).sum() / took / 1e9
    return f"| {isa} | {kv} | {took * 1e3:.1f} | {gflops:.0f} |"


def main() -> None:
    """Print two tables."""
    sets = instruction_sets(resolve_target("cpu"))
    kinds = [(kv, isa, target) for isa, target in sets.items() for kv in KV_TYPES]
    kinds = [kind for kind in kinds if kind[1] != "avx_vnni"]  # it has no bodies of its own
    print("| isa | cache | keys | ms | GFLOP/s | time to read the cache / time |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        read = read_probe(Path(folder))
        for kind in kinds:
            for keys in KEYS:
                print(measure_token(*kind, keys, read), flush=True)
    print("\n| isa | cache | ms for 128 tokens that see up to 2048 keys | GFLOP/s |")
    print("|---|---|---|---|")
    for kind in kinds:
        print(measure_chunk(*kind), flush=True)


if __name__ == "__main__":
    main()
