"""What a plan consists of: buffers, steps and segments, each checked when it is made."""

import re
from dataclasses import dataclass
from enum import IntEnum
from math import prod
from typing import Literal, Self, cast

from ossc.runtimes.plan_bytes import PlanReader, PlanWriter
from ossc.targets.errors import BundleError

ALIGNMENT_BYTES = 64
"""Every buffer starts at a multiple of this: one cache line, and the widest vector."""

N_TOKENS = -1
"""The dimension that stands for the rows of the current call."""

MAX_DIMENSIONS = 8
MAX_STEP_TENSORS = 30
MAX_TOKENS = 65536
MAX_TASKS = 2**31 - 1
MAX_NAME_BYTES = 255
MAX_SPACE_BYTES = 2**48
"""Bound on sizes and dimensions, small enough that their sums cannot overflow 64 bits."""

SegmentName = Literal["decode", "prefill", "head"]
_SEGMENT_NAMES = ("decode", "prefill", "head")
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Space(IntEnum):
    """The memory that an offset counts from."""

    WEIGHTS = 0
    """weights.bin: read only, mapped."""
    STATE = 1
    """Zero at first, lives as long as the session: KV caches, inputs, outputs."""
    ARENA = 2
    """Scratch; its content is undefined when a segment starts."""


class DType(IntEnum):
    """Element types of buffers."""

    F32 = 0
    I8 = 1
    U8 = 2
    I32 = 3
    I64 = 4
    BF16 = 5
    U16 = 6
    F16 = 7
    BOOL = 8
    I16 = 9

    @property
    def size_bytes(self) -> int:
        """Bytes of one element."""
        return (4, 1, 1, 4, 8, 2, 2, 2, 1, 2)[self]


def require(holds: bool, fault: str) -> None:
    """Refuse a plan unless a condition holds.

    Raises:
        BundleError: It does not; the message names the fault.
    """
    if not holds:
        raise BundleError(f"The execution plan is not valid: {fault}; compile the bundle again.")


def require_name(name: str, what: str) -> None:
    """Refuse a name that is too long for its field, or that would garble a terminal.

    Raises:
        BundleError: It is.
    """
    size = len(name.encode("utf-8", "replace"))
    require(size <= MAX_NAME_BYTES, f"{what} {name[:40]!r}… is {size} bytes long")
    require(name.isprintable(), f"{what} {name!r} has characters that cannot be printed")


@dataclass(frozen=True, kw_only=True)
class PlanTensor:
    """One buffer: a place in a space, an element type and a compact row-major shape."""

    space: Space
    offset_bytes: int
    dtype: DType
    shape: tuple[int, ...]
    """At most one dimension is :data:`N_TOKENS`."""

    def __post_init__(self) -> None:
        offset, shape = self.offset_bytes, self.shape
        require(offset % ALIGNMENT_BYTES == 0, f"offset {offset} is not a multiple of 64")
        require(0 <= offset <= MAX_SPACE_BYTES, f"offset {offset} is out of range")
        require(len(shape) <= MAX_DIMENSIONS, f"shape {shape} has too many dimensions")
        require(shape.count(N_TOKENS) <= 1, f"shape {shape} has two dimensions of n_tokens")
        sizes = [size for size in shape if size != N_TOKENS]
        require(all(0 < size <= MAX_SPACE_BYTES for size in sizes), f"shape {shape} is not valid")

    def end_bytes(self, n_tokens: int) -> int:
        """Offset of the first byte behind the buffer, when it has ``n_tokens`` rows."""
        elements = prod(n_tokens if size == N_TOKENS else size for size in self.shape)
        return self.offset_bytes + elements * self.dtype.size_bytes

    def has_rows(self, columns: int | None, max_tokens: int) -> bool:
        """Whether the shape is ``[n_tokens]``, or ``[n_tokens, columns]``.

        A buffer for at most one token may say 1 instead of :data:`N_TOKENS`.
        """
        rows = (N_TOKENS,) if max_tokens > 1 else (N_TOKENS, 1)
        tail = () if columns is None else (columns,)
        return len(self.shape) > 0 and self.shape[0] in rows and self.shape[1:] == tail

    def write(self, writer: PlanWriter) -> None:
        """Append the fields to a plan.bin."""
        dimensions = len(self.shape)
        writer.put("BBBQ", self.space, self.dtype, dimensions, self.offset_bytes)
        writer.put(f"{dimensions}q", *self.shape)

    @classmethod
    def read(cls, reader: PlanReader) -> Self:
        """Take the fields from a plan.bin.

        Raises:
            BundleError: They are not valid.
        """
        space, dtype, dimensions, offset_bytes = reader.take("BBBQ")
        require(space <= max(Space), f"space {space} is unknown")
        require(dtype <= max(DType), f"dtype {dtype} is unknown")
        return cls(
            space=Space(space),
            dtype=DType(dtype),
            offset_bytes=offset_bytes,
            shape=reader.take(f"{dimensions}q"),
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """One kernel call.

    A ranged kernel gets ``begin`` and ``end`` after its buffers; the runtime splits its
    ``tasks_fixed + tasks_per_token * n_tokens`` independent tasks over the threads. One that is not
    ranged is called once, on one thread.
    """

    kernel: str
    tensors: tuple[int, ...]
    """Indices into the plan's tensors, in the order of the kernel's parameters."""
    ranged: bool
    tasks_fixed: int
    tasks_per_token: int
    layer: int
    """Of the model; -1 when the step belongs to none."""
    label: str
    """What a profile calls the step."""

    def __post_init__(self) -> None:
        kernel, tensors = self.kernel, self.tensors
        require_name(kernel, "kernel")
        require_name(self.label, "label")
        require(_SYMBOL.fullmatch(kernel) is not None, f"kernel {kernel!r} is not a C name")
        require(1 <= len(tensors) <= MAX_STEP_TENSORS, f"{kernel} has {len(tensors)} buffers")
        counts = (self.tasks_fixed, self.tasks_per_token)
        require(all(0 <= count <= MAX_TASKS for count in counts), f"{kernel} has {counts} tasks")
        require(self.ranged == any(counts), f"ranged and the number of tasks of {kernel} disagree")
        require(-1 <= self.layer < MAX_TOKENS, f"{kernel} is in layer {self.layer}")

    def write(self, writer: PlanWriter) -> None:
        """Append the fields to a plan.bin."""
        writer.put_text(self.kernel)
        writer.put_text(self.label)
        writer.put("iB", self.layer, self.ranged)
        writer.put("III", self.tasks_fixed, self.tasks_per_token, len(self.tensors))
        writer.put(f"{len(self.tensors)}I", *self.tensors)

    @classmethod
    def read(cls, reader: PlanReader) -> Self:
        """Take the fields from a plan.bin.

        Raises:
            BundleError: They are not valid.
        """
        kernel, label = reader.take_text(), reader.take_text()
        layer, ranged = reader.take("iB")
        require(ranged <= 1, f"ranged of {kernel} is {ranged}")
        tasks_fixed, tasks_per_token, n_tensors = reader.take("III")
        return cls(
            kernel=kernel,
            label=label,
            layer=layer,
            ranged=bool(ranged),
            tasks_fixed=tasks_fixed,
            tasks_per_token=tasks_per_token,
            tensors=reader.take(f"{n_tensors}I"),
        )


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Steps that run from first to last for 1 to ``max_tokens`` rows."""

    name: SegmentName
    max_tokens: int
    inputs: dict[str, int]
    """Tensor indices of what the runtime writes before the first step."""
    outputs: dict[str, int]
    """Tensor indices of what the runtime reads after the last step."""
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        require(self.name in _SEGMENT_NAMES, f"segment {self.name!r} is unknown")
        require(0 < self.max_tokens <= MAX_TOKENS, f"{self.name} takes {self.max_tokens} tokens")
        require(self.name != "decode" or self.max_tokens == 1, "decode takes more than one token")
        for name in (*self.inputs, *self.outputs):
            require_name(name, "input or output")
        for step in self.steps:
            tasks = step.tasks_fixed + step.tasks_per_token * self.max_tokens
            require(tasks <= MAX_TASKS, f"{step.kernel} has {tasks} tasks")

    def tensor_indices(self) -> set[int]:
        """Every tensor that the segment touches."""
        steps = (index for step in self.steps for index in step.tensors)
        return {*self.inputs.values(), *self.outputs.values(), *steps}

    def write(self, writer: PlanWriter) -> None:
        """Append the fields to a plan.bin."""
        writer.put_text(self.name)
        counts = len(self.inputs), len(self.outputs), len(self.steps)
        writer.put("IIII", self.max_tokens, *counts)
        for name, index in (*self.inputs.items(), *self.outputs.items()):
            writer.put_text(name)
            writer.put("I", index)
        for step in self.steps:
            step.write(writer)

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
            inputs=_read_bindings(reader, n_inputs),
            outputs=_read_bindings(reader, n_outputs),
            steps=tuple(Step.read(reader) for _ in range(n_steps)),
        )


def _read_bindings(reader: PlanReader, count: int) -> dict[str, int]:
    pairs = [(reader.take_text(), reader.take_int("I")) for _ in range(count)]
    require(len(dict(pairs)) == len(pairs), "two inputs or two outputs have one name")
    return dict(pairs)
