"""Attention of one token in two steps: over each section of the keys, and joining the sections.

Sections are what groups share when one token sees many keys (flash-decoding). There is a fixed
number of them, and they have as many tiles as it takes, so that a token that sees few keys has as
many groups as one that sees all.
"""

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, Registers, barrier, i32, store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.kernels.attention.keys_seen import (
    Softmax,
    Span,
    declare_sinks,
    larger,
)
from ossc.compiler.backends.gpu.kernels.attention.token_rows import (
    ITEMS,
    TokenRows,
    blocks_of_heads,
)
from ossc.compiler.backends.gpu.kv_cache.cache import declare_cache
from ossc.compiler.backends.gpu.kv_cache.layout import TILE, CacheShape
from ossc.compiler.backends.gpu.work_items import each
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, KernelBuilder, Parts, symbol
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType

FEW_TILES = 4
"""So many are attended to by one group: a second step would cost more."""

MOST_GROUPS = 512
"""Of the first step: some for each unit of a large GPU."""


def most_tiles(shape: AttentionShape, capacity: int) -> int:
    """Return how many tiles a token sees at most."""
    if shape.window:
        return min((shape.window - 2) // TILE + 2, capacity // TILE)
    return capacity // TILE


def has_sections(shape: AttentionShape, capacity: int) -> bool:
    """Say whether a token can see so many keys that groups share them."""
    return most_tiles(shape, capacity) > FEW_TILES


def sections(shape: AttentionShape, capacity: int) -> int:
    """Return the number of sections."""
    most = max(1, MOST_GROUPS // blocks_of_heads(shape))
    return min(most, most_tiles(shape, capacity))


@dataclass(frozen=True)
class _Sections:
    """The buffers between the two steps; sections without a tile write and read nothing."""

    count: int
    largest: Buffer
    totals: Buffer
    sums: Buffer

    @classmethod
    def declare(cls, function: KernelBuilder, shape: AttentionShape, capacity: int) -> "_Sections":
        """Add the buffers to a function."""
        count = sections(shape, capacity)
        leading = (count, shape.num_heads)
        share: Parts = ("key", capacity)
        return cls(
            count,
            function.buffer("largest", "float32", *leading, parts=share),
            function.buffer("totals", "float32", *leading, parts=share),
            function.buffer("sums", "float32", *leading, shape.head_dim, parts=share),
        )

    def tiles_of_each(self, tiles: Expr) -> Expr:
        """Return how many tiles a section has where so many are seen; the last one has fewer."""
        return T.Bind(tirx.truncdiv(tiles + (self.count - 1), i32(self.count)))


def section_attention(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None = 1
) -> Kernel:
    """Build the attention of one token to each section of the keys that it sees.

    Parameters of the function: queries, cache and positions as `token_attention` has them →
    largest ``[sections, num_heads]``, totals ``[sections, num_heads]`` and sums
    ``[sections, num_heads, head_dim]``, float32. One group for each block of heads and section.
    """
    assert n == 1, "several tokens share tiles of keys"
    width = shape.num_heads * shape.head_dim
    cached = CacheShape(num_kv_heads=shape.num_kv_heads, capacity=capacity, head_dim=shape.head_dim)
    name = symbol("section_attention", kv, shape.symbol, capacity, n=1)
    with building(name, 1) as function:
        queries = function.per_token("queries", "float32", width)
        cache = declare_cache(function, kv, cached, ("key", capacity))
        positions = function.per_token("positions", "int32")
        parts = _Sections.declare(function, shape, capacity)
        grid = (Groups(fixed=parts.count), Groups(fixed=blocks_of_heads(shape)))
        with function.grid(*grid, block=(ITEMS,)) as item:
            seen = Span.seen(shape, T.Bind(positions[0]))
            first, tiles = seen.tiles(TILE)
            section, length = item.group[0], parts.tiles_of_each(tiles)
            begin = T.Bind(section * length)
            rows = TokenRows(
                softmax=Softmax(shape, None),
                queries=queries,
                cache=cache,
                block=item.group[1],
                item=item.lane,
            )
            with T.If(begin < tiles), T.Then():
                rows.clear()
                with T.serial(T.Bind(tirx.Min(length, tiles - begin))) as index:
                    rows.attend(T.Bind(first + begin + index), seen)
                for number, total, largest in rows.totals():
                    at = (section, rows.first_head + number)
                    store(parts.largest, *at, value=largest)
                    store(parts.totals, *at, value=total)
                for number, column, value in rows.values():
                    at = (section, rows.first_head + number)
                    store(parts.sums, *at, column, value=value)
    products = Work(per_pair=4 * width)
    return function.kernel(shape.operation, "f32", products, scheme=kv, window=shape.window)


def join_sections(*, shape: AttentionShape, capacity: int) -> Kernel:
    """Build the joining of the sections that a token sees.

    Parameters of the function: sinks ``[num_heads]`` if the shape has them, positions int32
    ``[1]``, largest, totals and sums of `section_attention` → out ``[1, num_heads · head_dim]``.
    One group a head.
    """
    width, head_dim = shape.num_heads * shape.head_dim, shape.head_dim
    with building(symbol("join_sections", shape.symbol, capacity, n=1), 1) as function:
        softmax = Softmax(shape, declare_sinks(function, shape))
        positions = function.per_token("positions", "int32")
        parts = _Sections.declare(function, shape, capacity)
        out = function.per_token("out", "float32", width)
        with function.grid(Groups(fixed=shape.num_heads), block=(ITEMS,)) as item:
            head = item.group[0]
            _, tiles = Span.seen(shape, T.Bind(positions[0])).tiles(TILE)
            length = parts.tiles_of_each(tiles)
            used = T.Bind(tirx.truncdiv(tiles + (length - 1), length))
            shares = _shares(softmax, parts, head, used, item.lane)
            for column in each(head_dim, item.lane, ITEMS):
                total = Registers(1)
                total.clear()
                with T.serial(used) as section:
                    total.add(0, shares[section] * parts.sums[section, head, column])
                store(out, 0, head * head_dim + column, value=total[0])
    return function.kernel("join_sections", "f32", Work(), window=shape.window)


def _shares(softmax: Softmax, parts: _Sections, head: Expr, used: Expr, item: Expr) -> Local:
    """Emit what the sums of each section are multiplied with; every work-item adds up all."""
    largest, total = Registers(1), Registers(1)
    largest[0] = softmax.first_score(head)
    with T.serial(used) as section:
        largest[0] = larger(largest[0], T.Bind(parts.largest[section, head]))
    total[0] = softmax.sink_term(head, largest[0])
    shares = Local(parts.count)
    with T.serial(used) as section:
        share = T.Bind(softmax.share(parts.largest[section, head], largest[0]))
        total.add(0, share * parts.totals[section, head])
    for section in each(parts.count, item, ITEMS):
        with T.If(section < used), T.Then():
            share = softmax.share(parts.largest[section, head], largest[0])
            shares[section] = share / total[0]
    barrier()
    return shares
