"""One segment of the plan: its calls as steps, and every buffer with its place and its role."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ossc.compiler.lowering.calls import Calls
from ossc.compiler.lowering.flatten import FlatSegment, FlatStep, Operand, Storage
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.plan import (
    N_TOKENS,
    Binding,
    PlanTensor,
    Role,
    Segment,
    Use,
)
from ossc.runtimes.plan.step_kinds import Step

INTERFACE = {
    "input_ids": Role.TOKEN_IDS,
    "position_ids": Role.POSITIONS,
    "hidden": Role.HIDDEN,
    "logits": Role.LOGITS,
}
"""What the inputs and outputs of segments mean, besides those of routers."""

_ROUTER = re.compile(r"router_indices\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a buffer begins."""

    space: int
    offset_bytes: int


@dataclass(frozen=True, kw_only=True)
class Offsets:
    """Where storages begin; those without a space of their own in that of their use, in bytes."""

    weights: Mapping[str, Place]
    """By the weight's name."""
    state: Mapping[str, int]
    """By `state_key`."""
    arena: Mapping[Storage, int]


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


@dataclass
class PlacedSegment:
    """One segment, whose storages have places; ``tensors`` numbers the distinct plan tensors."""

    segment: FlatSegment
    weights: Mapping[str, PackedWeight]
    offsets: Offsets
    calls: Calls
    kv: KvType
    tensors: dict[PlanTensor, int] = field(repr=False)

    def __post_init__(self) -> None:
        self._roles = {
            operand.storage: _binding_of(name)[0] for name, operand in self._outputs().items()
        }

    def plan(self) -> Segment:
        """Return the segment of the plan."""
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
            Binding(tensor=self._interface(operand, role), layer=layer)
            for operand, (role, layer) in (
                (operand, _binding_of(name)) for name, operand in operands.items()
            )
        )

    def _step(self, step: FlatStep) -> Step:
        tensors = [self._index(operand, operand.shape) for operand in step.operands]
        return self.calls.step(step, tensors, self.kv)

    def _interface(self, operand: Operand, role: Role) -> int:
        """The runtime sees inputs and outputs by rows, ``[n]`` or ``[n, columns]``."""
        rows = N_TOKENS if self.segment.max_tokens > 1 else 1
        elements = math.prod(dim for dim in operand.shape if dim != N_TOKENS)
        is_vector = role in (Role.TOKEN_IDS, Role.POSITIONS)
        return self._index(operand, (rows,) if is_vector else (rows, elements))

    def _index(self, operand: Operand, shape: tuple[int, ...]) -> int:
        place = self._place(operand.storage)
        tensor = PlanTensor(
            space=place.space,
            role=self._role(operand.storage),
            offset_bytes=place.offset_bytes,
            dtype=operand.dtype,
            shape=shape,
        )
        return self.tensors.setdefault(tensor, len(self.tensors))

    def _place(self, storage: Storage) -> Place:
        if storage.origin == "weight":
            return self.offsets.weights[storage.name]
        key = state_key(self.segment, storage)
        if key is not None:
            return Place(space=Use.STATE, offset_bytes=self.offsets.state[key])
        return Place(space=Use.ARENA, offset_bytes=self.offsets.arena[storage])

    def _role(self, storage: Storage) -> Role:
        if storage.origin == "weight":
            return self.weights[storage.name].role
        if storage.origin == "state":
            return Role.CACHE
        if storage.origin == "input":
            return INTERFACE[storage.name]
        return self._roles.get(storage, storage.role)


def _binding_of(name: str) -> tuple[Role, int]:
    """Return the role and the layer, or -1, of an input or output of a segment."""
    router = _ROUTER.fullmatch(name)
    return (Role.EXPERT_INDICES, int(router[1])) if router else (INTERFACE[name], -1)
