"""The steps of a gpt-oss-20b on two CPUs, with times that follow from a table of their work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ossc.runtimes.profile.profile import BoundName

LAYERS, EXPERTS, TOP_K, THREADS = 24, 32, 4, 2
WINDOW = 128
HIDDEN, QUERIES, KEYS, VOCABULARY = 2880, 4096, 1024, 201088
INT8, MXFP4 = 34 / 32, 17 / 32
"""Bytes of a weight with its share of the scale."""

F32_GOPS, INT8_GOPS, LAUNCH_NS = 152.0, 688.0, 950.0
INT8_TERMS = 2
"""Products that int8x2 needs for each that the model asks for."""

READ_GB_PER_S = {2**16: 212.0, 2**20: 168.0, 2**24: 71.0, 2**28: 31.4}
"""By size of what is read."""

EFFICIENCY = {"linear": 0.87, "expert_swiglu": 0.94, "expert_linear": 0.91, "sink_attention": 0.52}
"""Share of the bound that an operation reaches; the others reach a third."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One line of the table: a step of every layer."""

    label: str
    operation: str
    parameters: str
    scheme: str | None = None
    weights: float = 0
    """Bytes, for each expert that is used where ``experts``."""
    bytes: float = 0
    """Of activations, for a token."""
    operations: float = 0
    """For a token."""
    experts: bool = False
    keys: bool = False
    """Whether ``weights`` and ``operations`` are for each key."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call of a kernel, and what it takes."""

    label: str
    kernel: str
    layer: int
    operation: str
    scheme: str | None
    bytes: float
    operations: float
    bound: BoundName
    bound_us: float
    us: float


def _linear(label: str, rows: int, columns: int) -> list[Work]:
    return [
        _quantize(label, columns),
        Work(
            label=label,
            operation="linear",
            parameters=f"bias_int8mg32_int8x2_{rows}x{columns}_avx2",
            scheme="int8-g32",
            weights=rows * columns * INT8,
            bytes=4 * rows + 2 * columns,
            operations=2 * rows * columns,
        ),
    ]


def _quantize(label: str, columns: int) -> Work:
    return Work(
        label=f"{label}/quantize",
        operation="quantize_activations",
        parameters=f"{columns}_int8x2",
        bytes=6 * columns,
        operations=6 * columns,
    )


def _experts(label: str, operation: str, rows: int) -> list[Work]:
    return [
        _quantize(label, HIDDEN),
        Work(
            label=label,
            operation=operation,
            parameters="mxfp4_int8x2_32x2880x2880_4_avx2",
            scheme="mxfp4",
            weights=rows * HIDDEN * MXFP4,
            bytes=4 * HIDDEN * TOP_K,
            operations=2 * TOP_K * rows * HIDDEN,
            experts=True,
        ),
    ]


def _norm(label: str) -> Work:
    return Work(
        label=label,
        operation="add_rms_norm",
        parameters="2880_1em05",
        bytes=16 * HIDDEN,
        operations=5 * HIDDEN,
    )


def _layer(window: int) -> list[Work]:
    return [
        _norm("input_layernorm"),
        *_linear("self_attn.qkv_proj", QUERIES + KEYS, HIDDEN),
        Work(label="self_attn/rope_store", operation="rope_store", parameters="64x8x64",
             bytes=8 * KEYS, operations=6 * QUERIES),
        Work(label="self_attn", operation="sink_attention", parameters=f"64x8x64_{window}",
             weights=4 * KEYS, bytes=8 * QUERIES, operations=4 * QUERIES, keys=True),
        *_linear("self_attn.o_proj", HIDDEN, QUERIES),
        _norm("post_attention_layernorm"),
        Work(label="mlp.router/logits", operation="linear", parameters="bias_bf16_f32_32x2880_avx2",
             scheme="bf16", weights=2 * EXPERTS * HIDDEN, bytes=4 * HIDDEN,
             operations=2 * EXPERTS * HIDDEN),
        Work(label="mlp.router", operation="router_top_k", parameters="32_4", bytes=160,
             operations=300),
        *_experts("mlp.experts.gate_up_proj", "expert_swiglu", 2 * HIDDEN),
        *_experts("mlp.experts.down_proj", "expert_linear", HIDDEN),
        Work(label="mlp.experts", operation="combine_experts", parameters="2880_4",
             bytes=4 * HIDDEN * (TOP_K + 2), operations=2 * HIDDEN * TOP_K),
    ]  # fmt: skip


_EMBEDDING = Work(label="model.embed_tokens", operation="embedding",
                  parameters="int8mg32_201088x2880", scheme="int8-g32", bytes=5 * HIDDEN,
                  operations=HIDDEN)  # fmt: skip


def call_steps(
    rows: int, position: int, *, head: bool, slowed: Mapping[str, float]
) -> Iterator[Step]:
    """The steps of a token or a chunk of ``rows`` tokens, in order."""

    def step(work: Work, label: str, layer: int, rows: int = rows) -> Step:
        return _step(work, label, layer, rows, position, slowed.get(work.operation, 1.0))

    yield step(_EMBEDDING, _EMBEDDING.label, -1)
    for layer in range(LAYERS):
        for work in _layer(0 if layer % 2 else WINDOW):
            yield step(work, f"model.layers.{layer}.{work.label}", layer)
    yield step(_norm("model.norm"), "model.norm", -1)
    if head:
        for work in _linear("lm_head", VOCABULARY, HIDDEN):
            yield step(work, work.label, -1, rows=1)


def _step(work: Work, label: str, layer: int, rows: int, position: int, slowed: float) -> Step:
    window = WINDOW if work.parameters.endswith(f"_{WINDOW}") else position + rows
    keys = min(position + rows, window) if work.keys else 1
    used = EXPERTS * (1 - (1 - TOP_K / EXPERTS) ** rows) if work.experts else 1
    size = work.weights * used * keys + work.bytes * rows
    operations = work.operations * rows * keys
    working_set = 2**28 if work.weights else size  # weights and keys come from memory, not a cache
    bound, bound_us = _bound(size, operations, work.scheme, working_set)
    efficiency = 0.86 if bound == "int8" else EFFICIENCY.get(work.operation, 0.33)
    return Step(
        label=label,
        kernel=f"{work.operation}_{work.parameters}_{'n1' if rows == 1 else 'n'}",
        layer=layer,
        operation=work.operation,
        scheme=work.scheme,
        bytes=size,
        operations=operations,
        bound=bound,
        bound_us=bound_us,
        us=bound_us / efficiency * slowed,
    )


def _bound(
    size: float, operations: float, scheme: str | None, working_set: float
) -> tuple[BoundName, float]:
    """The limit that takes longest, and its µs."""
    fits = [rate for limit, rate in READ_GB_PER_S.items() if working_set <= limit]
    integers = scheme in ("mxfp4", "int8-g32")
    limits: dict[BoundName, float] = {
        "memory": size / (fits[0] if fits else READ_GB_PER_S[2**28]) / 1e3,
        "f32": 0 if integers else operations / F32_GOPS / 1e3,
        "int8": INT8_TERMS * operations / INT8_GOPS / 1e3 if integers else 0,
        "launch": LAUNCH_NS / 1e3,
    }
    return max(limits.items(), key=lambda limit: limit[1])
