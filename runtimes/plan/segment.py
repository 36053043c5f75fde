"""The segments of a plan: lists of steps, with what the runtime writes before and reads after."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self, cast

from ossc.runtimes.plan.checks import MAX_TOKENS, require
from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.step_kinds import Step, read_step, write_step

SegmentName = Literal["decode", "prefill", "head"]
_SEGMENT_NAMES = ("decode", "prefill", "head")


@dataclass(frozen=True, kw_only=True)
class Binding:
    """An input or an output; the tensor's role says what it is."""

    tensor: int
    """Index into the plan's tensors."""
    layer: int = -1
    """Of the model; -1 when it belongs to none."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Steps that run from first to last for 1 to ``max_tokens`` rows."""

    name: SegmentName
    max_tokens: int
    inputs: tuple[Binding, ...]
    """What the runtime writes before the first step."""
    outputs: tuple[Binding, ...]
    """What the runtime reads after the last step."""
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        require(self.name in _SEGMENT_NAMES, f"segment {self.name!r} is unknown")
        require(0 < self.max_tokens <= MAX_TOKENS, f"{self.name} takes {self.max_tokens} tokens")
        require(self.name != "decode" or self.max_tokens == 1, "decode takes more than one token")
        for each in (*self.inputs, *self.outputs):
            require(-1 <= each.layer < MAX_TOKENS, f"{self.name} has layer {each.layer}")
        for step in self.steps:
            step.check_rows(self.max_tokens)

    def tensor_indices(self) -> set[int]:
        """Every tensor that the segment touches."""
        steps = (index for step in self.steps for index in step.tensors)
        return {*(each.tensor for each in (*self.inputs, *self.outputs)), *steps}

    def write(self, writer: PlanWriter) -> None:
        """Append the fields to a plan.bin."""
        writer.put_text(self.name)
        counts = len(self.inputs), len(self.outputs), len(self.steps)
        writer.put("IIII", self.max_tokens, *counts)
        for each in (*self.inputs, *self.outputs):
            writer.put("iI", each.layer, each.tensor)
        for step in self.steps:
            write_step(step, writer)

    @classmethod
    def read(cls, reader: PlanReader) -> Self:
        """Take the fields from a plan.bin.

        Raises:
            BundleError: They are not valid.
        """
        name = reader.take_text()
        require(name in _SEGMENT_NAMES, f"segment {name!r} is unknown")
        max_tokens, n_inputs, n_outputs, n_steps = reader.take("IIII")
        return cls(
            name=cast(SegmentName, name),
            max_tokens=max_tokens,
            inputs=tuple(_read_bindings(reader, n_inputs)),
            outputs=tuple(_read_bindings(reader, n_outputs)),
            steps=tuple(read_step(reader) for _ in range(n_steps)),
        )


def _read_bindings(reader: PlanReader, count: int) -> Iterable[Binding]:
    for _ in range(count):
        layer, tensor = reader.take("iI")
        yield Binding(layer=layer, tensor=tensor)
