"""Attention of one token in two steps: over each section of the keys, and joining the sections."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.attention.attention_rows import (
    Row,
    Rows,
    RowValues,
    Vectors,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_sections import (
    Joined,
    most_sections,
    numbers,
    section,
)
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.attention_state import State
from ossc.compiler.backends.cpu.kernels.attention.attention_tiles import attend
from ossc.compiler.backends.cpu.kernels.tasks import spread
from ossc.compiler.backends.cpu.kv_cache import declare_cache
from ossc.compiler.backends.cpu.kv_cache.layout import lanes_of
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import (
    Buffer,
    Expr,
    Isa,
    Kernel,
    KernelBuilder,
    Parts,
    building,
    symbol,
    with_variants,
)
from ossc.runtimes.kernel_cost import Work
from ossc.runtimes.kv_type import KvType

MOST_TASKS = 256
"""More would only cost time where few sections are seen."""


class _Sections:
    """The buffers between the two steps, for each section from the first that is seen."""

    def __init__(self, function: KernelBuilder, shape: AttentionShape, capacity: int) -> None:
        self._shape = shape
        self.count = most_sections(shape, capacity)
        leading = (self.count, shape.num_heads)
        share: Parts = ("key", capacity)
        self.largest = function.buffer("largest", "float32", *leading, parts=share)
        self.totals = function.buffer("totals", "float32", *leading, parts=share)
        self._sums = function.buffer("sums", "float32", *leading, shape.head_dim, parts=share)

    def values(self, rows: Rows, index: Expr) -> RowValues:
        """Return the weighted values of a section."""

        def place(row: Row, column: Expr) -> tuple[Expr, ...]:
            return index, rows.head(row), column

        return RowValues(buffer=self._sums, place=place, head_dim=self._shape.head_dim)


@with_variants
def section_attention(
    *, shape: AttentionShape, capacity: int, kv: KvType, n: int | None = 1, isa: Isa
) -> Kernel:
    """Build the attention of one token to each section that it sees.

    Parameters of the function: queries, cache, sinks and positions as `attention` has them for one
    token → largest ``[sections, num_heads]``, totals ``[sections, num_heads]`` and sums
    ``[sections, num_heads, head_dim]``, float32. The work is a section of a key-value head; it is
    spread over the tasks.
    """
    assert n == 1, "several tokens are work enough for all threads"
    width = shape.num_heads * shape.head_dim
    name = symbol("section_attention", kv, shape.symbol, capacity, n=1)
    with building(name, 1) as function:
        queries = function.per_token("queries", "float32", width)
        cache = declare_cache(function, kv, shape.cache(capacity), ("key", capacity), isa)
        sinks = shape.declare_sinks(function)
        positions = function.per_token("positions", "int64")
        sections = _Sections(function, shape, capacity)
        tasks = min(MOST_TASKS, sections.count * shape.num_kv_heads)
        with function.tasks(fixed=tasks) as task:
            all_rows = _rows(shape, queries, sinks, positions, isa)
            seen = all_rows.see()
            first, count = numbers(seen)
            with T.serial(*spread(task, tasks, count * shape.num_kv_heads)) as unit:
                index = T.Bind(unit % count)
                rows = all_rows.of(T.Bind(unit // count))
                state = State(rows, sections.values(rows, index), 1)
                attend(state, cache, section(first + index, seen))
                for row in rows.each_row(v.constant(0, "int32")):
                    at = (index, rows.head(row))
                    v.store(sections.largest, *at, value=state.largest(row), lanes=1)
                    v.store(sections.totals, *at, value=state.total(row), lanes=1)
    products = Work(per_pair=4 * width)
    return function.kernel(shape.operation, "f32", products, scheme=kv, window=shape.window)


def join_sections(*, shape: AttentionShape, capacity: int) -> Kernel:
    """Build the joining of the sections that a token sees.

    Parameters of the function: sinks ``[num_heads]`` if the shape has them, positions int64
    ``[1]``, largest, totals and sums of `section_attention` → out ``[1, num_heads · head_dim]``.
    One task a key-value head.
    """
    width = shape.num_heads * shape.head_dim
    with building(symbol("join_sections", shape.symbol, capacity, n=1), 1) as function:
        sinks = shape.declare_sinks(function)
        positions = function.per_token("positions", "int64")
        sections = _Sections(function, shape, capacity)
        out = function.per_token("out", "float32", width)
        with function.tasks(fixed=shape.num_kv_heads) as kv_head:
            rows = _rows(shape, out, sinks, positions).of(kv_head)
            values = RowValues(buffer=out, place=rows.place, head_dim=shape.head_dim)
            joined = Joined(rows, values, 1)
            joined.clear()
            _, count = numbers(rows.see())
            with T.serial(count) as index:
                part = sections.values(rows, index)
                for row in rows.each_row(v.constant(0, "int32")):
                    at = (index, rows.head(row))
                    largest, total = (T.Bind(b[at]) for b in (sections.largest, sections.totals))
                    joined.add(row, largest, total, part)
            joined.finish()
    return function.kernel("join_sections", "f32", Work(), window=shape.window)


def _rows(
    shape: AttentionShape,
    queries: Buffer,
    sinks: Buffer | None,
    positions: Buffer,
    isa: Isa = "portable",
) -> Rows:
    return Rows(
        shape=shape,
        queries=queries,
        sinks=sinks,
        positions=positions,
        kv_head=v.constant(0, "int32"),
        first_token=v.constant(0, "int32"),
        tokens=1,
        vectors=Vectors(lanes_of(isa)),
    )
