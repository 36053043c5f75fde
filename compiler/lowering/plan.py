"""The flat plan: every buffer of every segment gets its place.

Weights follow each other in the order of first use, so that a decoded token reads the file from
front to back. State (inputs, outputs, KV caches) is shared by name between the segments. Scratch
buffers share one arena by their lifetimes, each segment for itself.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ossc.compiler.lowering.arena import Lifetime, align, assign_offsets
from ossc.compiler.lowering.flatten import FlatSegment, FlatStep, Operand, Storage
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.manifest import WEIGHTS_NAME
from ossc.runtimes.plan import (
    N_TOKENS,
    Binding,
    Device,
    DType,
    HostKernel,
    Plan,
    PlanTensor,
    Role,
    Segment,
    Space,
    Use,
)
from ossc.targets import Target

PAGE_BYTES = 4096
"""Alignment of large weights: the unit in which a mapped file is read."""

_INTERFACE = {
    "input_ids": Role.TOKEN_IDS,
    "position_ids": Role.POSITIONS,
    "hidden": Role.HIDDEN,
    "logits": Role.LOGITS,
}
"""What the inputs and outputs of segments mean, besides those of routers."""

_ROUTER = re.compile(r"router_indices\.(\d+)")


def weight_offsets(
    weights: Iterable[PackedWeight], alignment_bytes: int
) -> tuple[dict[str, int], int]:
    """Place the weights one after the other.

    Args:
        weights: In the order of the file.
        alignment_bytes: At what multiples they begin.

    Returns:
        Offset of each in bytes, and the size of the file. A weight of a page or more starts at a
        page.
    """
    offsets: dict[str, int] = {}
    end = 0
    for weight in weights:
        is_large = weight.size_bytes >= PAGE_BYTES
        start = align(end, PAGE_BYTES if is_large else alignment_bytes)
        offsets[weight.name] = start
        end = start + weight.size_bytes
    return offsets, align(end, PAGE_BYTES)


def make_plan(
    segments: Iterable[FlatSegment],
    weights: Mapping[str, PackedWeight],
    *,
    target: Target,
    context: int,
    vocab_size: int,
) -> Plan:
    """Give every buffer of the segments its offset."""
    segments = list(segments)
    alignment = target.alignment_bytes
    weight_places, weights_bytes = weight_offsets(weights.values(), alignment)
    state_places, state_bytes = _state_offsets(segments, alignment)
    tensors: dict[PlanTensor, int] = {}
    planned: list[Segment] = []
    arena_bytes = 0
    for segment in segments:
        scratch_places, scratch_bytes = _scratch_offsets(segment, alignment)
        arena_bytes = max(arena_bytes, scratch_bytes)
        offsets: dict[Use, Mapping[Any, int]] = {
            Use.WEIGHTS: weight_places,
            Use.STATE: state_places,
            Use.ARENA: scratch_places,
        }
        places = _Places(segment, weights, offsets, tensors)
        planned.append(places.plan_segment())
    sizes = {Use.WEIGHTS: weights_bytes, Use.STATE: state_bytes, Use.ARENA: arena_bytes}
    return Plan(
        context=context,
        vocab_size=vocab_size,
        devices=(Device(kind=target.kind),),
        spaces=tuple(_space(use, sizes[use], alignment) for use in Use),
        tensors=tuple(tensors),
        segments=tuple(planned),
    )


def _space(use: Use, size_bytes: int, alignment_bytes: int) -> Space:
    """Return the one space of a use; its index is the use's number."""
    file = WEIGHTS_NAME if use == Use.WEIGHTS else ""
    return Space(use=use, size_bytes=size_bytes, alignment_bytes=alignment_bytes, file=file)


def state_key(segment: FlatSegment, storage: Storage) -> str | None:
    """Return the name under which a storage lives in the session's state, if it does.

    Inputs and outputs are apart for body and head: both call one of theirs ``hidden``.
    """
    if storage.origin == "state":
        return storage.name
    part = "head" if segment.name == "head" else "body"
    if storage.origin == "input":
        return f"{part}.{storage.name}.input"
    for name, operand in segment.outputs.items():
        if operand.storage == storage:
            return f"{part}.{name}.output"
    return None


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


@dataclass
class _Places:
    """Where the storages of one segment lie; ``tensors`` numbers the distinct plan tensors."""

    segment: FlatSegment
    weights: Mapping[str, PackedWeight]
    offsets: Mapping[Use, Mapping[Any, int]]
    """By name in the weights, by key in the state, by storage in the arena."""
    tensors: dict[PlanTensor, int] = field(repr=False)

    def __post_init__(self) -> None:
        self._roles = {
            operand.storage: _binding_of(name)[0] for name, operand in self._outputs().items()
        }

    def plan_segment(self) -> Segment:
        return Segment(
            name=self.segment.name,
            max_tokens=self.segment.max_tokens,
            inputs=self._bindings(self.segment.inputs),
            outputs=self._bindings(self._outputs()),
            steps=tuple(self._step(step) for step in self.segment.steps),
        )

    def _outputs(self) -> dict[str, Operand]:
        outputs = self.segment.outputs.items()
        return {name: operand for name, operand in outputs if operand.storage.origin is None}

    def _bindings(self, operands: Mapping[str, Operand]) -> tuple[Binding, ...]:
        return tuple(
            Binding(tensor=self._interface(operand), layer=_binding_of(name)[1])
            for name, operand in operands.items()
        )

    def _step(self, step: FlatStep) -> HostKernel:
        kernel = step.kernel
        return HostKernel(
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
        use, offset = self._place(operand.storage)
        tensor = PlanTensor(
            space=use,
            role=self._role(operand.storage),
            offset_bytes=offset,
            dtype=operand.dtype,
            shape=shape,
        )
        return self.tensors.setdefault(tensor, len(self.tensors))

    def _place(self, storage: Storage) -> tuple[Use, int]:
        if storage.origin == "weight":
            return Use.WEIGHTS, self.offsets[Use.WEIGHTS][storage.name]
        key = state_key(self.segment, storage)
        if key is not None:
            return Use.STATE, self.offsets[Use.STATE][key]
        return Use.ARENA, self.offsets[Use.ARENA][storage]

    def _role(self, storage: Storage) -> Role:
        if storage.origin == "weight":
            return self.weights[storage.name].role
        if storage.origin == "state":
            return Role.CACHE
        if storage.origin == "input":
            return _INTERFACE[storage.name]
        return self._roles.get(storage, storage.role)


def _binding_of(name: str) -> tuple[Role, int]:
    """Return the role and the layer, or -1, of an input or output of a segment."""
    router = _ROUTER.fullmatch(name)
    return (Role.EXPERT_INDICES, int(router[1])) if router else (_INTERFACE[name], -1)
