"""The execution plan of a bundle, ``plan.bin``: which kernels run in which order on which buffers.

The C runtime reads the same bytes (``runtimes/c/src/bundle/plan.c``); ``docs/bundle-format.md``
specifies them. Every value is checked when it is made, so a plan that exists is one that the
runtime accepts.
"""

import re
from dataclasses import dataclass
from typing import Self

from ossc.runtimes.plan_bytes import PlanReader, PlanWriter
from ossc.runtimes.plan_parts import (
    ALIGNMENT_BYTES,
    MAX_SPACE_BYTES,
    MAX_STEP_TENSORS,
    N_TOKENS,
    DType,
    PlanTensor,
    Segment,
    SegmentName,
    Space,
    Step,
    require,
)

__all__ = [
    "ALIGNMENT_BYTES",
    "MAX_STEP_TENSORS",
    "N_TOKENS",
    "PLAN_ABI_VERSION",
    "DType",
    "Plan",
    "PlanTensor",
    "Segment",
    "SegmentName",
    "Space",
    "Step",
]

PLAN_MAGIC = b"OSSCPLAN"
"""The first bytes of every plan.bin."""

PLAN_ABI_VERSION = 1
"""Version of the bytes and of what they mean; the runtime runs exactly one."""

MAX_SEGMENTS = 16

_LAYER = re.compile(r"router_indices\.(0|[1-9]\d{0,4})")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that the runtime executes."""

    abi_version: int = PLAN_ABI_VERSION
    weights_bytes: int
    state_bytes: int
    arena_bytes: int
    context: int
    """Positions that a session can hold."""
    vocab_size: int
    tensors: tuple[PlanTensor, ...]
    segments: tuple[Segment, ...]
    """One ``decode``, one ``prefill``, and ``head`` for one row and, if wanted, for more."""

    def __post_init__(self) -> None:
        _require_abi(self.abi_version)
        for size in (self.weights_bytes, self.state_bytes, self.arena_bytes):
            require(0 <= size <= MAX_SPACE_BYTES, f"a space of {size} bytes is out of range")
        require(0 < self.context < 2**31, f"context is {self.context}")
        require(0 < self.vocab_size < 2**31, f"vocab_size is {self.vocab_size}")
        self._check_segments()
        for segment in self.segments:
            self._check_bounds(segment)
        for segment in self.segments:
            self._check_interface(segment)

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
    def hidden_size(self) -> int:
        """Columns of the hidden state that decode and prefill hand to the head."""
        return self._columns("hidden")

    @property
    def router_layers(self) -> tuple[int, ...]:
        """The layers whose chosen experts can be observed, in order."""
        matches = (_LAYER.fullmatch(name) for name in self.segment("decode").outputs)
        return tuple(int(match[1]) for match in matches if match)

    @property
    def num_experts_per_tok(self) -> int:
        """Experts that each router chooses; 0 without routers."""
        layers = self.router_layers
        return self._columns(f"router_indices.{layers[0]}") if layers else 0

    def _columns(self, output: str) -> int:
        """The last dimension of an output of decode; 0 when it has none."""
        shape = self.tensors[self.segment("decode").outputs[output]].shape
        return shape[-1] if shape else 0

    def _check_segments(self) -> None:
        require(len(self.segments) <= MAX_SEGMENTS, "it has too many segments")
        keys = [(segment.name, segment.max_tokens) for segment in self.segments]
        names = [name for name, _ in keys]
        require(len(set(keys)) == len(keys), f"two segments are alike in {keys}")
        require(names.count("decode") == 1, "it needs one segment decode")
        require(names.count("prefill") == 1, "it needs one segment prefill")
        require(("head", 1) in keys, "it needs a head for one row")
        require("hidden" in self.segment("decode").outputs, "decode has no output hidden")

    def _check_bounds(self, segment: Segment) -> None:
        sizes = (self.weights_bytes, self.state_bytes, self.arena_bytes)
        for index in segment.tensor_indices():
            require(0 <= index < len(self.tensors), f"{segment.name} uses tensor {index}")
            tensor = self.tensors[index]
            end, size = tensor.end_bytes(segment.max_tokens), sizes[tensor.space]
            where = f"of {tensor.space.name.lower()}, which has {size}"
            require(end <= size, f"tensor {index} ends at byte {end} {where}")

    def _check_interface(self, segment: Segment) -> None:
        """Inputs and outputs are those that the runtime writes and reads."""
        if segment.name == "head":
            require(set(segment.inputs) == {"hidden"}, "the head takes other inputs than hidden")
            require(set(segment.outputs) == {"logits"}, "the head gives other outputs than logits")
            self._check_rows(segment, "hidden", DType.F32, self.hidden_size)
            self._check_rows(segment, "logits", DType.F32, self.vocab_size)
            return
        inputs = {"input_ids", "position_ids"}
        require(set(segment.inputs) == inputs, f"{segment.name} takes other inputs than {inputs}")
        require("hidden" in segment.outputs, f"{segment.name} has no output hidden")
        self._check_rows(segment, "input_ids", DType.I64, None)
        self._check_rows(segment, "position_ids", DType.I64, None)
        self._check_rows(segment, "hidden", DType.F32, self.hidden_size)
        self._check_routers(segment)

    def _check_routers(self, segment: Segment) -> None:
        routers = [name for name in segment.outputs if name != "hidden"]
        names = [f"router_indices.{layer}" for layer in self.router_layers]
        require(routers == names, f"{routers} of {segment.name} are not router_indices.<layer>")
        require(
            self.router_layers == tuple(sorted(self.router_layers)),
            f"{routers} of {segment.name} are not in the order of the layers",
        )
        for name in routers:
            self._check_rows(segment, name, DType.I32, self.num_experts_per_tok)

    def _check_rows(self, segment: Segment, name: str, dtype: DType, columns: int | None) -> None:
        tensor = self.tensors[(segment.inputs | segment.outputs)[name]]
        where = f"{name} of {segment.name}"
        require(columns is None or columns > 0, f"{where} has no columns")
        require(tensor.space == Space.STATE, f"{where} is not in the state")
        require(tensor.dtype == dtype, f"{where} is {tensor.dtype.name}, not {dtype.name}")
        require(tensor.has_rows(columns, segment.max_tokens), f"{where} has shape {tensor.shape}")

    def to_bytes(self) -> bytes:
        """The bytes of plan.bin; equal plans give equal bytes."""
        writer = PlanWriter()
        writer.put("8B", *PLAN_MAGIC)
        writer.put("I", self.abi_version)
        writer.put("QQQ", self.weights_bytes, self.state_bytes, self.arena_bytes)
        writer.put("II", self.context, self.vocab_size)
        writer.put("II", len(self.tensors), len(self.segments))
        for tensor in self.tensors:
            tensor.write(writer)
        for segment in self.segments:
            segment.write(writer)
        return writer.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read plan.bin.

        Raises:
            BundleError: The bytes are not a plan that this version runs.
        """
        reader = PlanReader(data)
        require(reader.take_bytes(len(PLAN_MAGIC)) == PLAN_MAGIC, "it does not begin as a plan")
        _require_abi(reader.take_int("I"))
        weights_bytes, state_bytes, arena_bytes = reader.take("QQQ")
        context, vocab_size, n_tensors, n_segments = reader.take("IIII")
        plan = cls(
            weights_bytes=weights_bytes,
            state_bytes=state_bytes,
            arena_bytes=arena_bytes,
            context=context,
            vocab_size=vocab_size,
            tensors=tuple(PlanTensor.read(reader) for _ in range(n_tensors)),
            segments=tuple(Segment.read(reader) for _ in range(n_segments)),
        )
        reader.finish()
        return plan


def _require_abi(version: int) -> None:
    require(
        version == PLAN_ABI_VERSION,
        f"its ABI version is {version}, and this ossc runs {PLAN_ABI_VERSION}",
    )
