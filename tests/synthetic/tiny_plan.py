"""A hand-made plan and manifest, small enough to be read, for the tests of both readers."""

from typing import Any

from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.manifest import (
    FileEntry,
    FileRole,
    HostEntry,
    Manifest,
    MemoryEntry,
    QuantizationEntry,
    RuleEntry,
    SessionMemory,
    TargetEntry,
)
from ossc.runtimes.plan import (
    Binding,
    Device,
    DType,
    HostKernel,
    Plan,
    PlanTensor,
    Role,
    Segment,
    SegmentName,
    Space,
    Use,
)

VOCAB, HIDDEN, CHUNK, CONTEXT = 40, 16, 4, 24
WEIGHTS_BYTES = VOCAB * HIDDEN * 4
STATE_BYTES, ARENA_BYTES = 16384, 4096

DEVICE = Device(kind="cpu")
WEIGHTS = Space(use=Use.WEIGHTS, size_bytes=WEIGHTS_BYTES, alignment_bytes=64, file="weights.bin")
STATE = Space(use=Use.STATE, size_bytes=STATE_BYTES, alignment_bytes=64)
ARENA = Space(use=Use.ARENA, size_bytes=ARENA_BYTES, alignment_bytes=64)


def tensor(
    use: Use, offset_bytes: int, dtype: DType, *shape: int, role: Role = Role.OTHER
) -> PlanTensor:
    """A buffer in the first space of a use, whose index is the use's number here."""
    return PlanTensor(space=use, offset_bytes=offset_bytes, dtype=dtype, shape=shape, role=role)


def step(kernel: str, *tensors: int, fixed: int = 0, per_token: int = 0) -> HostKernel:
    """A step, ranged when it has tasks."""
    return HostKernel(
        kernel=kernel,
        tensors=tensors,
        ranged=fixed + per_token > 0,
        tasks_fixed=fixed,
        tasks_per_token=per_token,
        layer=0,
        label=f"{kernel} of the test",
    )


TENSORS = (
    tensor(Use.WEIGHTS, 0, DType.F32, VOCAB, HIDDEN, role=Role.WEIGHTS),
    tensor(Use.STATE, 0, DType.I64, -1, role=Role.TOKEN_IDS),
    tensor(Use.STATE, 256, DType.I64, -1, role=Role.POSITIONS),
    tensor(Use.STATE, 512, DType.F32, -1, HIDDEN, role=Role.HIDDEN),  # of decode and prefill
    tensor(Use.STATE, 1024, DType.I32, -1, 2, role=Role.EXPERT_INDICES),
    tensor(Use.STATE, 1088, DType.F32, -1, HIDDEN, role=Role.HIDDEN),  # of the heads
    tensor(Use.STATE, 2240, DType.F32, -1, VOCAB, role=Role.LOGITS),
    tensor(Use.STATE, 4864, DType.F32, CONTEXT, HIDDEN, role=Role.CACHE),
    tensor(Use.ARENA, 0, DType.F32, -1, HIDDEN),  # embedded
)
IDS, POSITIONS, HIDDEN_OUT, ROUTER, HIDDEN_IN, LOGITS, CACHE, EMBEDDED = range(1, 9)


def body(name: SegmentName, max_tokens: int) -> Segment:
    """Embeds, routes, and sums each token with all before it."""
    return Segment(
        name=name,
        max_tokens=max_tokens,
        inputs=(Binding(tensor=IDS), Binding(tensor=POSITIONS)),
        outputs=(Binding(tensor=HIDDEN_OUT), Binding(tensor=ROUTER, layer=0)),
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
        inputs=(Binding(tensor=HIDDEN_IN),),
        outputs=(Binding(tensor=LOGITS),),
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
        "devices": (DEVICE,),
        "spaces": (WEIGHTS, STATE, ARENA),
        "context": CONTEXT,
        "vocab_size": VOCAB,
        "tensors": TENSORS,
        "segments": (body("decode", 1), body("prefill", CHUNK), head(1), head(16)),
    }
    return Plan(**(fields | changes))


def role_of(name: str) -> FileRole:
    """What a file of the test bundles is for."""
    roles: dict[str, FileRole] = {
        ".json": "tokenizer",
        ".so": "program",
        **dict.fromkeys((".cl", ".cubin", ".ptx"), "code"),
    }
    if name.startswith("weights"):
        return "weights"
    if name.endswith(".wgsl.json"):
        return "code"
    return "plan" if name.startswith("plan") else roles.get(name[name.rfind(".") :], "program")


def make_manifest(files: dict[str, FileEntry], **changes: Any) -> Manifest:
    """The manifest of a bundle with these files, with fields replaced."""
    fields: dict[str, Any] = {
        "ossc_version": "0.1.0",
        "plan_abi_version": 2,
        "model": {"model_type": "test", "vocab_size": VOCAB, "rope": [1.5, None, True, "é"]},
        "target": TargetEntry(name="cpu:test", host=HostEntry(arch="x86_64", cpu_features=())),
        "quantization": QuantizationEntry(
            preset="none",
            activations="f32",
            rules=(RuleEntry(match="embedding", experts=None, scheme="bf16"),),
            tensors={},
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
