"""A whole plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ossc.runtimes.plan.checks import PLAN_ABI_VERSION, require, require_abi
from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.interface import InterfaceCheck, Key, by_role, router_widths
from ossc.runtimes.plan.segment import Binding, Segment, SegmentName
from ossc.runtimes.plan.space import Device, Space, Use
from ossc.runtimes.plan.step_kinds import Step
from ossc.runtimes.plan.tensor import PlanTensor, Role

PLAN_MAGIC = b"OSSCPLAN"
"""The first bytes of every plan.bin."""

MAX_DEVICES = 16
MAX_SPACES = 255
MAX_SEGMENTS = 16

_ROLES_OF_WEIGHTS = (Role.WEIGHTS, Role.EXPERT_OFFSETS)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that the runtime executes."""

    abi_version: int = PLAN_ABI_VERSION
    context: int
    """Positions that a session can hold."""
    vocab_size: int
    devices: tuple[Device, ...]
    spaces: tuple[Space, ...]
    tensors: tuple[PlanTensor, ...]
    segments: tuple[Segment, ...]
    """One ``decode``, one ``prefill``, and ``head`` for one row and, if wanted, for more."""

    def __post_init__(self) -> None:
        require_abi(self.abi_version)
        require(0 < self.context < 2**31, f"context is {self.context}")
        require(0 < self.vocab_size < 2**31, f"vocab_size is {self.vocab_size}")
        self._check_spaces()
        self._check_tensors()
        self._check_segments()
        for segment in self.segments:
            self._check_bounds(segment)
        outputs = self.by_role(self.segment("decode").outputs)
        require((Role.HIDDEN, -1) in outputs, "decode lacks the output hidden")
        sizes = self.hidden_size, self.router_widths
        interface = InterfaceCheck(self.tensors, self.spaces, self.vocab_size, *sizes)
        for segment in self.segments:
            interface.check(segment)

    def segment(self, name: SegmentName, max_tokens: int | None = None) -> Segment:
        """The segment of that name, and of that size where there are several.

        Raises:
            KeyError: There is none.
        """
        for segment in self.segments:
            if segment.name == name and max_tokens in (None, segment.max_tokens):
                return segment
        raise KeyError(name)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all segments."""
        return tuple(step for segment in self.segments for step in segment.steps)

    def by_role(self, bindings: Iterable[Binding]) -> dict[Key, PlanTensor]:
        """The tensors of a segment's inputs or outputs, by role and layer.

        Raises:
            BundleError: Two have the same.
        """
        return by_role(bindings, self.tensors)

    def size_bytes(self, use: Use) -> int:
        """Bytes of all spaces of a use."""
        return sum(space.size_bytes for space in self.spaces if space.use == use)

    def use_of(self, tensor: PlanTensor) -> Use:
        """The use of the space that a tensor lies in."""
        return self.spaces[tensor.space].use

    @property
    def weights_bytes(self) -> int:
        """Bytes of all weights."""
        return self.size_bytes(Use.WEIGHTS)

    @property
    def state_bytes(self) -> int:
        """What lives with a session."""
        return self.size_bytes(Use.STATE)

    @property
    def arena_bytes(self) -> int:
        """A session's scratch."""
        return self.size_bytes(Use.ARENA)

    @property
    def hidden_size(self) -> int:
        """Columns of the hidden state that decode and prefill hand to the head."""
        outputs = self.by_role(self.segment("decode").outputs)
        shape = outputs[Role.HIDDEN, -1].shape
        return shape[-1] if shape else 0

    @property
    def router_widths(self) -> dict[int, int]:
        """How many experts each router chooses for a token, by layer, in the order of layers."""
        outputs = self.by_role(self.segment("decode").outputs)
        return router_widths(outputs, outputs)

    @property
    def router_layers(self) -> tuple[int, ...]:
        """The layers whose chosen experts can be observed, in order."""
        return tuple(self.router_widths)

    @property
    def num_experts_per_tok(self) -> int:
        """The most experts that a router chooses; 0 without routers."""
        return max(self.router_widths.values(), default=0)

    def _check_spaces(self) -> None:
        require(1 <= len(self.devices) <= MAX_DEVICES, f"it has {len(self.devices)} devices")
        require(len(self.spaces) <= MAX_SPACES, f"it has {len(self.spaces)} spaces")
        files = [space.file for space in self.spaces if space.use == Use.WEIGHTS]
        require(len(set(files)) == len(files), f"two spaces lie in one file of {files}")
        for space in self.spaces:
            require(space.device < len(self.devices), f"a space is on device {space.device}")

    def _check_tensors(self) -> None:
        for index, tensor in enumerate(self.tensors):
            require(tensor.space < len(self.spaces), f"tensor {index} is in space {tensor.space}")
            alignment, offset = self.spaces[tensor.space].alignment_bytes, tensor.offset_bytes
            require(offset % alignment == 0, f"offset {offset} is not a multiple of {alignment}")
            in_weights = self.use_of(tensor) == Use.WEIGHTS
            require(
                tensor.role in _ROLES_OF_WEIGHTS if in_weights else tensor.role != Role.WEIGHTS,
                f"tensor {index} of the role {tensor.role.name} is in the wrong space",
            )
            require(
                tensor.role != Role.CACHE or self.use_of(tensor) == Use.STATE,
                f"tensor {index} is a cache and not in a state",
            )

    def _check_segments(self) -> None:
        require(len(self.segments) <= MAX_SEGMENTS, "it has too many segments")
        keys = [(segment.name, segment.max_tokens) for segment in self.segments]
        names = [name for name, _ in keys]
        require(len(set(keys)) == len(keys), f"two segments are alike in {keys}")
        require(names.count("decode") == 1, "it needs one segment decode")
        require(names.count("prefill") == 1, "it needs one segment prefill")
        require(("head", 1) in keys, "it needs a head for one row")

    def _check_bounds(self, segment: Segment) -> None:
        for index in segment.tensor_indices():
            require(0 <= index < len(self.tensors), f"{segment.name} uses tensor {index}")
            tensor = self.tensors[index]
            space = self.spaces[tensor.space]
            end, size = tensor.end_bytes(segment.max_tokens), space.size_bytes
            where = f"of {space.use.name.lower()}, which has {size}"
            require(end <= size, f"tensor {index} ends at byte {end} {where}")

    def to_bytes(self) -> bytes:
        """The bytes of plan.bin; equal plans give equal bytes."""
        writer = PlanWriter()
        parts = self.devices, self.spaces, self.tensors, self.segments
        writer.put_bytes(PLAN_MAGIC)
        writer.put("III", self.abi_version, self.context, self.vocab_size)
        writer.put("IIII", *map(len, parts))
        for part in parts:
            for each in part:
                each.write(writer)
        return writer.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read plan.bin.

        Raises:
            BundleError: The bytes are not a plan that this version runs.
        """
        reader = PlanReader(data)
        require(reader.take_bytes(len(PLAN_MAGIC)) == PLAN_MAGIC, "it does not begin as a plan")
        require_abi(reader.take_int("I"))
        context, vocab_size = reader.take("II")
        n_devices, n_spaces, n_tensors, n_segments = reader.take("IIII")
        plan = cls(
            context=context,
            vocab_size=vocab_size,
            devices=tuple(Device.read(reader) for _ in range(n_devices)),
            spaces=tuple(Space.read(reader) for _ in range(n_spaces)),
            tensors=tuple(PlanTensor.read(reader) for _ in range(n_tensors)),
            segments=tuple(Segment.read(reader) for _ in range(n_segments)),
        )
        reader.finish()
        return plan
