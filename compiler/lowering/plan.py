"""The flat plan: every buffer of every segment gets its place.

Weights follow each other in the order of first use, so that a decoded token reads the file from
front to back. State (inputs, outputs, KV caches) is shared by name between the segments. Scratch
buffers share one arena by their lifetimes, each segment for itself.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ossc.compiler.lowering.arena import Lifetime, align, assign_offsets
from ossc.compiler.lowering.flatten import FlatSegment, FlatStep, Operand, Storage
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.plan import N_TOKENS, DType, Plan, PlanTensor, Segment, Space, Step

PAGE_BYTES = 4096
"""Alignment of large weights: the unit in which a mapped file is read."""


def weight_offsets(weights: Iterable[PackedWeight]) -> tuple[dict[str, int], int]:
    """Place the weights one after the other.

    Returns:
        Offset of each in bytes, and the size of the file. A weight of a page or more starts at a
        page, a smaller one at a cache line.
    """
    offsets: dict[str, int] = {}
    end = 0
    for weight in weights:
        start = align(end, PAGE_BYTES) if weight.size_bytes >= PAGE_BYTES else align(end)
        offsets[weight.name] = start
        end = start + weight.size_bytes
    return offsets, align(end, PAGE_BYTES)


def make_plan(
    segments: Iterable[FlatSegment],
    weights: Mapping[str, PackedWeight],
    *,
    context: int,
    vocab_size: int,
) -> Plan:
    """Give every buffer of the segments its offset."""
    segments = list(segments)
    weight_places, weights_bytes = weight_offsets(weights.values())
    state_places, state_bytes = _state_offsets(segments)
    tensors: dict[PlanTensor, int] = {}
    planned: list[Segment] = []
    arena_bytes = 0
    for segment in segments:
        scratch_places, scratch_bytes = _scratch_offsets(segment)
        arena_bytes = max(arena_bytes, scratch_bytes)
        places = _Places(segment, weight_places, state_places, scratch_places, tensors)
        planned.append(places.plan_segment())
    return Plan(
        weights_bytes=weights_bytes,
        state_bytes=state_bytes,
        arena_bytes=arena_bytes,
        context=context,
        vocab_size=vocab_size,
        tensors=tuple(tensors),
        segments=tuple(planned),
    )


def state_key(segment: FlatSegment, storage: Storage) -> str | None:
    """Return the name under which a storage lives in the session's state, if it does.

    Inputs and outputs are apart for body and head: both call one of theirs ``hidden``.
    """
    if storage.role == "state":
        return storage.name
    part = "head" if segment.name == "head" else "body"
    if storage.role == "input":
        return f"{part}.{storage.name}.input"
    for name, operand in segment.outputs.items():
        if operand.storage == storage:
            return f"{part}.{name}.output"
    return None


def _state_offsets(segments: list[FlatSegment]) -> tuple[dict[str, int], int]:
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
        end += align(size)
    return offsets, end


def _operands(segment: FlatSegment) -> Iterable[Operand]:
    yield from segment.inputs.values()
    for step in segment.steps:
        yield from step.operands
    yield from segment.outputs.values()


def _scratch_offsets(segment: FlatSegment) -> tuple[dict[Storage, int], int]:
    sizes: dict[Storage, int] = {}
    steps: dict[Storage, list[int]] = {}
    for index, step in enumerate(segment.steps):
        for operand in step.operands:
            storage = operand.storage
            if storage.role is None and state_key(segment, storage) is None:
                size = operand.size_bytes(segment.max_tokens)
                sizes[storage] = max(size, sizes.get(storage, 0))
                steps.setdefault(storage, []).append(index)
    lifetimes = [
        Lifetime(size_bytes=size, first_step=min(steps[storage]), last_step=max(steps[storage]))
        for storage, size in sizes.items()
    ]
    offsets, arena_bytes = assign_offsets(lifetimes)
    return dict(zip(sizes, offsets, strict=True)), arena_bytes


@dataclass
class _Places:
    """Where the storages of one segment lie; ``tensors`` numbers the distinct plan tensors."""

    segment: FlatSegment
    weights: dict[str, int]
    state: dict[str, int]
    scratch: dict[Storage, int]
    tensors: dict[PlanTensor, int] = field(repr=False)

    def plan_segment(self) -> Segment:
        outputs = {
            name: operand
            for name, operand in self.segment.outputs.items()
            if operand.storage.role is None
        }
        return Segment(
            name=self.segment.name,
            max_tokens=self.segment.max_tokens,
            inputs={n: self._interface(operand) for n, operand in self.segment.inputs.items()},
            outputs={n: self._interface(operand) for n, operand in outputs.items()},
            steps=tuple(self._step(step) for step in self.segment.steps),
        )

    def _step(self, step: FlatStep) -> Step:
        kernel = step.kernel
        return Step(
            kernel=step.symbol,
            tensors=tuple(self._index(operand, operand.shape) for operand in step.operands),
            ranged=kernel is not None,
            tasks_fixed=kernel.tasks_fixed if kernel else 0,
            tasks_per_token=kernel.tasks_per_token if kernel else 0,
            layer=step.layer,
            label=step.label,
        )

    def _interface(self, operand: Operand) -> int:
        """The runtime sees inputs and outputs by rows, ``[n]`` or ``[n, columns]``."""
        rows = N_TOKENS if self.segment.max_tokens > 1 else 1
        elements = math.prod(dim for dim in operand.shape if dim != N_TOKENS)
        is_vector = operand.dtype == DType.I64
        return self._index(operand, (rows,) if is_vector else (rows, elements))

    def _index(self, operand: Operand, shape: tuple[int, ...]) -> int:
        space, offset = self._place(operand.storage)
        tensor = PlanTensor(space=space, offset_bytes=offset, dtype=operand.dtype, shape=shape)
        return self.tensors.setdefault(tensor, len(self.tensors))

    def _place(self, storage: Storage) -> tuple[Space, int]:
        if storage.role == "weight":
            return Space.WEIGHTS, self.weights[storage.name]
        key = state_key(self.segment, storage)
        if key is not None:
            return Space.STATE, self.state[key]
        return Space.ARENA, self.scratch[storage]
