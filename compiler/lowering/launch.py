"""How a kernel's work is shared out: a range of tasks, or a grid of work-groups."""

from dataclasses import dataclass

from ossc.runtimes.plan import ONE_GROUP, Groups

__all__ = ["ONE_GROUP", "Grid", "Groups", "Launch", "Tasks"]


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
