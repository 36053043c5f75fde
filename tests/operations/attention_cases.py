"""Cases of rotation and attention.

One key-value head, heads of 40 columns; caches that are empty or not, windows shorter and longer
than what there is to see.
"""

from collections.abc import Iterator

from operations.case import SMALL, Case, Shape


def attention_cases() -> Iterator[Case]:
    """Give them all."""
    yield from _ropes()
    yield from _attentions()
    yield from _rope_attentions()


def _ropes() -> Iterator[Case]:
    for heads, head_dim in ((1, 40), (3, 6), (4, 2)):
        angles: Shape = ("B", "S", head_dim // 2)
        yield Case(
            operation="Rope",
            sizes=f"{heads}x{head_dim}",
            shapes={"x": ("T", heads * head_dim), "cos": angles, "sin": angles},
            attributes={"head_dim": head_dim},
        )


HEADS = ((4, 2, 8), (3, 1, 40), (2, 2, 6), (8, 1, 64))
"""Query heads, key-value heads and columns of each."""

OPTIONS = ((), ("sinks",), ("query_scale",), ("sinks", "query_scale"))


def _attentions() -> Iterator[Case]:
    for heads in HEADS[:3]:
        for window in (0, 1, 3, 100):
            for past in (0, 4):
                for options in OPTIONS:
                    yield _attention("Attention", heads, window, past, options, "f16")


def _rope_attentions() -> Iterator[Case]:
    # A ring of 32 positions holds 30 keys, but not a chunk of 8 besides.
    for index, window in enumerate((0, 1, 30, 100)):
        for past, options in ((0, OPTIONS[index]), (37, OPTIONS[3 - index])):
            floats = SMALL[index % 3]
            yield _attention("RopeAttention", HEADS[index], window, past, options, floats)


def _attention(
    operation: str,
    heads: tuple[int, int, int],
    window: int,
    past: int,
    options: tuple[str, ...],
    floats: str,
) -> Case:
    query, kv, head_dim = heads
    angles: Shape = ("B", "S", head_dim // 2)
    rotated: dict[str, Shape] = {
        "qkv": ("T", (query + 2 * kv) * head_dim),
        "cos": angles,
        "sin": angles,
    }
    apart: dict[str, Shape] = {
        "query": ("T", query * head_dim),
        "key": ("T", kv * head_dim),
        "value": ("T", kv * head_dim),
    }
    optional: dict[str, Shape] = {"sinks": (query,), "query_scale": ("B", "S")}
    return Case(
        operation=operation,
        sizes=f"{query}on{kv}x{head_dim},window{window}",
        shapes={
            **(rotated if operation == "RopeAttention" else apart),
            "past_key": ("B", kv, "P", head_dim),
            "past_value": ("B", kv, "P", head_dim),
            "position_ids": ("B", "S"),
            **{name: optional[name] for name in options},
        },
        attributes={
            "num_heads": query,
            "num_kv_heads": kv,
            "head_dim": head_dim,
            "window": window,
            "scale": 0.3,
        },
        floats=floats,
        past=past,
    )
