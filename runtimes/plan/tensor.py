"""The buffers of a plan."""

from dataclasses import dataclass
from enum import IntEnum
from math import prod
from typing import Self

from ossc.runtimes.plan.checks import MAX_SPACE_BYTES, require
from ossc.runtimes.plan.fields import PlanReader, PlanWriter

N_TOKENS = -1
"""The dimension that stands for the rows of the current call."""

MAX_DIMENSIONS = 8


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


class Role(IntEnum):
    """What the numbers of a buffer mean."""

    OTHER = 0
    TOKEN_IDS = 1
    POSITIONS = 2
    """Of each row in the session."""
    HIDDEN = 3
    """What the body hands to the head."""
    LOGITS = 4
    WEIGHTS = 5
    EXPERT_OFFSETS = 6
    """``[E]``: where each expert begins in the experts' weights, in bytes."""
    EXPERT_INDICES = 7
    """``[n, k]``: the experts that each row chose."""
    EXPERT_BOUNDS = 8
    """``[E + 1]``: where each expert's pairs begin in the order."""
    EXPERT_ORDER = 9
    """``[n, k]``: the pairs of row and slot, by expert."""
    CODES = 10
    """Activations as integers."""
    CODE_SCALES = 11
    CODE_SUMS = 12
    CACHE = 13
    """Keys, values and their scales."""


_DTYPES = {
    Role.TOKEN_IDS: (DType.I32, DType.I64),
    Role.POSITIONS: (DType.I32, DType.I64),
    Role.HIDDEN: (DType.F32,),
    Role.LOGITS: (DType.F32,),
    Role.EXPERT_OFFSETS: (DType.I64,),
    Role.EXPERT_INDICES: (DType.I32,),
    Role.EXPERT_BOUNDS: (DType.I32,),
    Role.EXPERT_ORDER: (DType.I32,),
    Role.CODES: (DType.I8, DType.I16),
    Role.CODE_SCALES: (DType.F32,),
    Role.CODE_SUMS: (DType.F32,),
}
"""The types that a role allows; the others allow all."""


@dataclass(frozen=True, kw_only=True)
class PlanTensor:
    """One buffer: a place in a space, a meaning, an element type and a compact row-major shape."""

    space: int
    """Index of the space."""
    offset_bytes: int
    dtype: DType
    shape: tuple[int, ...]
    """At most one dimension is :data:`N_TOKENS`."""
    role: Role = Role.OTHER

    def __post_init__(self) -> None:
        offset, shape = self.offset_bytes, self.shape
        require(0 <= offset <= MAX_SPACE_BYTES, f"offset {offset} is out of range")
        require(len(shape) <= MAX_DIMENSIONS, f"shape {shape} has too many dimensions")
        require(shape.count(N_TOKENS) <= 1, f"shape {shape} has two dimensions of n_tokens")
        sizes = [size for size in shape if size != N_TOKENS]
        require(all(0 < size <= MAX_SPACE_BYTES for size in sizes), f"shape {shape} is not valid")
        require(
            self.dtype in _DTYPES.get(self.role, tuple(DType)),
            f"a tensor of the role {self.role.name} is {self.dtype.name}",
        )

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
        writer.put("BBBBQ", self.space, self.role, self.dtype, dimensions, self.offset_bytes)
        writer.put(f"{dimensions}q", *self.shape)

    @classmethod
    def read(cls, reader: PlanReader) -> Self:
        """Take the fields from a plan.bin.

        Raises:
            BundleError: They are not valid.
        """
        space, role, dtype, dimensions, offset_bytes = reader.take("BBBBQ")
        require(role <= max(Role), f"role {role} is unknown")
        require(dtype <= max(DType), f"dtype {dtype} is unknown")
        return cls(
            space=space,
            role=Role(role),
            dtype=DType(dtype),
            offset_bytes=offset_bytes,
            shape=reader.take(f"{dimensions}q"),
        )
