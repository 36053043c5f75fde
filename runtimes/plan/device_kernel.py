"""Steps that launch a function of a code file over a grid of groups."""

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, Self

from ossc.runtimes.file_name import FILE_NAME
from ossc.runtimes.plan.c_name import require_c_name
from ossc.runtimes.plan.checks import require
from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.step import StepOfPlan

MAX_GROUPS = 2**31 - 1
"""In one dimension; kernels count groups in 32 bits."""

MAX_BLOCK = 1024
"""Work-items of a group, all dimensions together."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups in one dimension: ⌈(fixed + per_token · rows) / divisor⌉, at least one."""

    fixed: int = 0
    per_token: int = 0
    divisor: int = 1

    def count(self, rows: int) -> int:
        """The groups of a call with so many rows."""
        return -(-(self.fixed + self.per_token * rows) // self.divisor)

    def check(self, kernel: str) -> None:
        """Refuse a count that can be none, or that no field holds.

        Raises:
            BundleError: It is one.
        """
        numbers = self.fixed, self.per_token, self.divisor
        require(all(0 <= each < 2**32 for each in numbers), f"{kernel} has groups of {numbers}")
        require(self.divisor > 0, f"{kernel} divides its groups by 0")
        require(self.fixed + self.per_token > 0, f"{kernel} has a dimension without groups")


ONE_GROUP = Groups(fixed=1)
"""A dimension that is not used."""


@dataclass(frozen=True, kw_only=True)
class DeviceKernel(StepOfPlan):
    """One launch; the tensors are in the order of the function's parameters."""

    KIND: ClassVar[int] = 1

    code: str
    """The file of the bundle that holds the function; its role is ``code``."""
    kernel: str
    """The function's name."""
    takes_rows: bool
    """Whether the rows of the call follow the buffers, as one int32."""
    grid: tuple[Groups, Groups, Groups]
    """Groups in x, y and z."""
    block: tuple[int, int, int]
    """Work-items of a group in x, y and z."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_c_name(self.kernel, "kernel")
        require(FILE_NAME.fullmatch(self.code) is not None, f"{self.kernel} lies in {self.code!r}")
        for groups in self.grid:
            groups.check(self.kernel)
        fits = all(size >= 1 for size in self.block) and prod(self.block) <= MAX_BLOCK
        require(fits, f"{self.kernel} has groups of {self.block} work-items")

    def tasks(self, rows: int) -> int:
        """Groups in all dimensions; see `StepOfPlan`."""
        return prod(groups.count(rows) for groups in self.grid)

    def check_rows(self, max_tokens: int) -> None:
        """Refuse more groups than a kernel counts; see `StepOfPlan`."""
        counts = [groups.count(max_tokens) for groups in self.grid]
        require(max(counts) <= MAX_GROUPS, f"{self.kernel} has {counts} groups")

    def write_part(self, writer: PlanWriter) -> None:
        """Append the function and its launch."""
        writer.put_text(self.code)
        writer.put_text(self.kernel)
        writer.put("B", self.takes_rows)
        for groups in self.grid:
            writer.put("III", groups.fixed, groups.per_token, groups.divisor)
        writer.put("III", *self.block)

    @classmethod
    def read_part(cls, reader: PlanReader, fields: dict[str, Any]) -> Self:
        """Take the function and its launch; see `StepOfPlan`."""
        code, kernel = reader.take_text(), reader.take_text()
        takes_rows = reader.take_int("B")
        require(takes_rows <= 1, f"takes_rows of {kernel} is {takes_rows}")
        x, y, z = (_read_groups(reader) for _ in range(3))
        width, height, depth = reader.take("III")
        return cls(
            code=code,
            kernel=kernel,
            takes_rows=bool(takes_rows),
            grid=(x, y, z),
            block=(width, height, depth),
            **fields,
        )


def _read_groups(reader: PlanReader) -> Groups:
    fixed, per_token, divisor = reader.take("III")
    return Groups(fixed=fixed, per_token=per_token, divisor=divisor)
