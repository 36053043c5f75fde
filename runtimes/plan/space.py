"""Where the buffers of a plan lie: the devices that execute it, and their memories."""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from ossc.runtimes.file_name import FILE_NAME
from ossc.runtimes.plan.checks import MAX_SPACE_BYTES, require, require_name
from ossc.runtimes.plan.fields import PlanReader, PlanWriter

LEAST_ALIGNMENT_BYTES, MOST_ALIGNMENT_BYTES = 64, 4096
"""A cache line, and a page: what every memory keeps to."""

_KIND = re.compile(r"[a-z][a-z0-9_]*")


class Use(IntEnum):
    """What a space is for."""

    WEIGHTS = 0
    """Read only; the bytes of a file."""
    STATE = 1
    """Zero at first, lives as long as the session: KV caches, inputs, outputs."""
    ARENA = 2
    """Scratch; its content is undefined when a segment starts."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """What executes steps."""

    kind: str
    """Such as ``cpu``."""
    index: int = 0
    """Which of several of that kind."""

    def __post_init__(self) -> None:
        require_name(self.kind, "device")
        require(_KIND.fullmatch(self.kind) is not None, f"{self.kind!r} is no kind of device")

    def write(self, writer: PlanWriter) -> None:
        """Append the fields to a plan.bin."""
        writer.put_text(self.kind)
        writer.put("I", self.index)

    @classmethod
    def read(cls, reader: PlanReader) -> Self:
        """Take the fields from a plan.bin.

        Raises:
            BundleError: They are not valid.
        """
        return cls(kind=reader.take_text(), index=reader.take_int("I"))


@dataclass(frozen=True, kw_only=True)
class Space:
    """Memory of a device, in which tensors have their offsets."""

    use: Use
    size_bytes: int
    alignment_bytes: int
    """At what multiples tensors begin, and the space itself."""
    device: int = 0
    """Index of the device."""
    file: str = ""
    """For weights the file that holds these bytes; else empty."""

    def __post_init__(self) -> None:
        name, alignment = self.use.name.lower(), self.alignment_bytes
        require(
            alignment.bit_count() == 1
            and LEAST_ALIGNMENT_BYTES <= alignment <= MOST_ALIGNMENT_BYTES,
            f"a space of {name} has an alignment of {alignment} bytes",
        )
        require(
            0 <= self.size_bytes <= MAX_SPACE_BYTES,
            f"a space of {self.size_bytes} bytes is out of range",
        )
        if self.use == Use.WEIGHTS:
            require(FILE_NAME.fullmatch(self.file) is not None, f"weights lie in {self.file!r}")
        else:
            require(self.file == "", f"a space of {name} lies in the file {self.file!r}")

    def write(self, writer: PlanWriter) -> None:
        """Append the fields to a plan.bin."""
        writer.put("BBIQ", self.use, self.device, self.alignment_bytes, self.size_bytes)
        writer.put_text(self.file)

    @classmethod
    def read(cls, reader: PlanReader) -> Self:
        """Take the fields from a plan.bin.

        Raises:
            BundleError: They are not valid.
        """
        use, device, alignment_bytes, size_bytes = reader.take("BBIQ")
        require(use <= max(Use), f"a space has the use {use}, which this ossc does not know")
        return cls(
            use=Use(use),
            device=device,
            alignment_bytes=alignment_bytes,
            size_bytes=size_bytes,
            file=reader.take_text(),
        )
