"""How a kernel's work is shared out: a range of tasks, or a grid of work-groups."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Groups in one dimension: ⌈(fixed + per_token · rows) / divisor⌉, at least one."""

    fixed: int = 0
    per_token: int = 0
    divisor: int = 1

    def count(self, rows: int) -> int:
        """The groups of a call with so many rows."""
        return -(-(self.fixed + self.per_token * rows) // self.divisor)


ONE_GROUP = Groups(fixed=1)
"""A dimension that is not used."""


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """``fixed + per_token · n`` independent tasks for ``n`` tokens; a call does a range of them."""

    fixed: int = 0
    per_token: int = 0


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Work-groups of a fixed size, whose number follows from the tokens."""

    groups: tuple[Groups, Groups, Groups]
    """In x, y and z."""
    block: tuple[int, int, int]
    """Work-items of a group in x, y and z."""


Launch = Tasks | Grid
