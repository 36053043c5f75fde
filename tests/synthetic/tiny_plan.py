"""A hand-made plan and manifest, small enough to be read, for the tests of both readers."""

from typing import Any

from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.manifest import (
    FileEntry,
    Manifest,
    MemoryEntry,
    QuantizationEntry,
    SessionMemory,
    TargetEntry,
)
from ossc.runtimes.plan import DType, Plan, PlanTensor, Segment, SegmentName, Space, Step

VOCAB, HIDDEN, CHUNK, CONTEXT = 40, 16, 4, 24
WEIGHTS_BYTES = VOCAB * HIDDEN * 4
STATE_BYTES, ARENA_BYTES = 16384, 4096


def tensor(space: Space, offset_bytes: int, dtype: DType, *shape: int) -> PlanTensor:
    """A buffer."""
    return PlanTensor(space=space, offset_bytes=offset_bytes, dtype=dtype, shape=shape)


def step(kernel: str, *tensors: int, fixed: int = 0, per_token: int = 0) -> Step:
    """A step, ranged when it has tasks."""
    return Step(
        kernel=kernel,
        tensors=tensors,
        ranged=fixed + per_token > 0,
        tasks_fixed=fixed,
        tasks_per_token=per_token,
        layer=0,
        label=f"{kernel} of the test",
    )


TENSORS = (
    tensor(Space.WEIGHTS, 0, DType.F32, VOCAB, HIDDEN),
    tensor(Space.STATE, 0, DType.I64, -1),  # input_ids
    tensor(Space.STATE, 256, DType.I64, -1),  # position_ids
    tensor(Space.STATE, 512, DType.F32, -1, HIDDEN),  # hidden of decode and prefill
    tensor(Space.STATE, 1024, DType.I32, -1, 2),  # router_indices.0
    tensor(Space.STATE, 1088, DType.F32, -1, HIDDEN),  # hidden of the heads
    tensor(Space.STATE, 2240, DType.F32, -1, VOCAB),  # logits
    tensor(Space.STATE, 4864, DType.F32, CONTEXT, HIDDEN),  # cache
    tensor(Space.ARENA, 0, DType.F32, -1, HIDDEN),  # embedded
)
IDS, POSITIONS, HIDDEN_OUT, ROUTER, HIDDEN_IN, LOGITS, CACHE, EMBEDDED = range(1, 9)


def body(name: SegmentName, max_tokens: int) -> Segment:
    """Embeds, routes, and sums each token with all before it."""
    return Segment(
        name=name,
        max_tokens=max_tokens,
        inputs={"input_ids": IDS, "position_ids": POSITIONS},
        outputs={"hidden": HIDDEN_OUT, "router_indices.0": ROUTER},
        steps=(
            step("test_embedding", IDS, 0, EMBEDDED, per_token=1),
            step("test_router", IDS, ROUTER),
            step("test_store", EMBEDDED, POSITIONS, CACHE, per_token=1),
            step("test_mean", POSITIONS, CACHE, HIDDEN_OUT, fixed=HIDDEN),
        ),
    )


def head(max_tokens: int) -> Segment:
    """The product of hidden rows and the embedding."""
    return Segment(
        name="head",
        max_tokens=max_tokens,
        inputs={"hidden": HIDDEN_IN},
        outputs={"logits": LOGITS},
        steps=(step("test_head", HIDDEN_IN, 0, LOGITS, fixed=VOCAB),),
    )


def cost(operation: str, fixed: int = 0, per_token: int = 0, per_key: int = 0) -> KernelCost:
    """What a kernel moves; none of them computes anything worth counting."""
    return KernelCost(
        operation=operation,
        scheme=None,
        arithmetic="copy",
        bytes=Work(fixed=fixed, per_token=per_token, per_key=per_key),
        operations=Work(),
    )


ROW_BYTES = 4 * HIDDEN

COSTS = {
    "test_embedding": cost("embedding", per_token=8 + 2 * ROW_BYTES),
    "test_router": cost("router_top_k", per_token=16),
    "test_store": cost("rope_store", per_token=8 + 2 * ROW_BYTES),
    "test_mean": cost("sink_attention", per_token=8 + ROW_BYTES, per_key=ROW_BYTES),
    "test_head": cost("linear", fixed=WEIGHTS_BYTES, per_token=ROW_BYTES + 4 * VOCAB),
}


SESSION_MEMORY = SessionMemory(
    state_bytes=STATE_BYTES,
    arena_bytes=ARENA_BYTES,
    kv_bytes=CONTEXT * HIDDEN * 4,
    kv_bytes_per_token=HIDDEN * 4,
)


def make_plan(**changes: Any) -> Plan:
    """The plan, with fields replaced."""
    fields: dict[str, Any] = {
        "weights_bytes": WEIGHTS_BYTES,
        "state_bytes": STATE_BYTES,
        "arena_bytes": ARENA_BYTES,
        "context": CONTEXT,
        "vocab_size": VOCAB,
        "tensors": TENSORS,
        "segments": (body("decode", 1), body("prefill", CHUNK), head(1), head(16)),
    }
    return Plan(**(fields | changes))


def make_manifest(files: dict[str, FileEntry], **changes: Any) -> Manifest:
    """The manifest of a bundle with these files, with fields replaced."""
    fields: dict[str, Any] = {
        "ossc_version": "0.1.0",
        "plan_abi_version": 1,
        "model": {"model_type": "test", "vocab_size": VOCAB, "rope": [1.5, None, True, "é"]},
        "target": TargetEntry(name="cpu:test", arch="x86_64", cpu_features=()),
        "quantization": QuantizationEntry(
            preset="none", activations="f32", schemes={"embedding": "bf16"}, tensors={}
        ),
        "context": CONTEXT,
        "prefill_chunk": CHUNK,
        "stop_token_ids": (7, 9),
        "memory": MemoryEntry(
            weights_bytes=WEIGHTS_BYTES, default_kv="f32", kv={"f32": SESSION_MEMORY}
        ),
        "kernels": COSTS,
        "files": files,
    }
    return Manifest(**(fields | changes))
