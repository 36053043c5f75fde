"""The flat plan: every buffer of every segment gets its place.

Weights follow each other in the order of first use, so that a decoded token reads the files from
front to back. State (inputs, outputs, KV caches) is shared by name between the segments. Scratch
buffers share one arena by their lifetimes, each segment for itself.
"""

from collections.abc import Iterable, Mapping

from ossc.compiler.lowering.arena import Lifetime, align, assign_offsets
from ossc.compiler.lowering.calls import Calls
from ossc.compiler.lowering.flatten import FlatSegment, Operand, Storage
from ossc.compiler.lowering.plan_segment import Offsets, Place, PlacedSegment, state_key
from ossc.compiler.lowering.shards import Shard, place_weights
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.manifest import WEIGHTS_NAME
from ossc.runtimes.plan import Device, Plan, PlanTensor, Segment, Space, Use
from ossc.targets import Target


def make_plan(
    segments: Iterable[FlatSegment],
    weights: Mapping[str, PackedWeight],
    *,
    target: Target,
    calls: Calls,
    kv: KvType,
    context: int,
    vocab_size: int,
) -> Plan:
    """Give every buffer of the segments its offset, and make steps of the calls."""
    segments = list(segments)
    alignment = target.alignment_bytes
    shards = place_weights(weights.values(), alignment, target.device.shard_bytes)
    weight_places = _weight_places(shards)
    state_places, state_bytes = _state_offsets(segments, alignment)
    tensors: dict[PlanTensor, int] = {}
    planned: list[Segment] = []
    arena_bytes = 0
    for segment in segments:
        scratch_places, scratch_bytes = _scratch_offsets(segment, alignment)
        arena_bytes = max(arena_bytes, scratch_bytes)
        offsets = Offsets(weights=weight_places, state=state_places, arena=scratch_places)
        planned.append(PlacedSegment(segment, weights, offsets, calls, kv, tensors).plan())
    sizes = {Use.WEIGHTS: shards[0].size_bytes, Use.STATE: state_bytes, Use.ARENA: arena_bytes}
    return Plan(
        context=context,
        vocab_size=vocab_size,
        devices=(Device(kind=target.kind),),
        spaces=(
            *(_space(use, sizes[use], alignment) for use in Use),
            *(_shard_space(shard, alignment) for shard in shards[1:]),
        ),
        tensors=tuple(tensors),
        segments=tuple(planned),
    )


def _space(use: Use, size_bytes: int, alignment_bytes: int) -> Space:
    """Return the first space of a use; its index is the use's number."""
    file = WEIGHTS_NAME if use == Use.WEIGHTS else ""
    return Space(use=use, size_bytes=size_bytes, alignment_bytes=alignment_bytes, file=file)


def _shard_space(shard: Shard, alignment_bytes: int) -> Space:
    return Space(
        use=Use.WEIGHTS,
        size_bytes=shard.size_bytes,
        alignment_bytes=alignment_bytes,
        file=shard.file,
    )


def _weight_places(shards: list[Shard]) -> dict[str, Place]:
    """Return where each weight lies; the first shard is the first space, the others come last."""
    spaces = (Use.WEIGHTS, *range(len(Use), len(Use) + len(shards) - 1))
    return {
        name: Place(space=int(space), offset_bytes=offset)
        for space, shard in zip(spaces, shards, strict=True)
        for name, offset in shard.offsets.items()
    }


def _state_offsets(segments: list[FlatSegment], alignment_bytes: int) -> tuple[dict[str, int], int]:
    sizes: dict[str, int] = {}
    for segment in segments:
        for operand in _operands(segment):
            key = state_key(segment, operand.storage)
            if key is not None:
                size = operand.size_bytes(segment.max_tokens)
                sizes[key] = max(size, sizes.get(key, 0))
    offsets: dict[str, int] = {}
    end = 0
    for key, size in sizes.items():
        offsets[key] = end
        end += align(size, alignment_bytes)
    return offsets, end


def _operands(segment: FlatSegment) -> Iterable[Operand]:
    yield from segment.inputs.values()
    for step in segment.steps:
        yield from step.operands
    yield from segment.outputs.values()


def _scratch_offsets(segment: FlatSegment, alignment_bytes: int) -> tuple[dict[Storage, int], int]:
    sizes: dict[Storage, int] = {}
    steps: dict[Storage, list[int]] = {}
    for index, step in enumerate(segment.steps):
        for operand in step.operands:
            storage = operand.storage
            if storage.origin is None and state_key(segment, storage) is None:
                size = operand.size_bytes(segment.max_tokens)
                sizes[storage] = max(size, sizes.get(storage, 0))
                steps.setdefault(storage, []).append(index)
    lifetimes = [
        Lifetime(size_bytes=size, first_step=min(steps[storage]), last_step=max(steps[storage]))
        for storage, size in sizes.items()
    ]
    offsets, arena_bytes = assign_offsets(lifetimes, alignment_bytes)
    return dict(zip(sizes, offsets, strict=True)), arena_bytes
