"""What the steps of all kinds have in common."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ossc.runtimes.plan.checks import MAX_TOKENS, require, require_name
from ossc.runtimes.plan.fields import PlanReader, PlanWriter

MAX_STEP_TENSORS = 30


@dataclass(frozen=True, kw_only=True)
class StepOfPlan:
    """One step; a kind is a subclass that adds its part."""

    KIND: ClassVar[int]
    """The number in plan.bin."""

    label: str
    """What a profile calls the step."""
    layer: int
    """Of the model; -1 when the step belongs to none."""
    tensors: tuple[int, ...]
    """Indices into the plan's tensors."""

    def __post_init__(self) -> None:
        require_name(self.label, "label")
        require(
            1 <= len(self.tensors) <= MAX_STEP_TENSORS,
            f"{self.label} has {len(self.tensors)} buffers",
        )
        require(-1 <= self.layer < MAX_TOKENS, f"{self.label} is in layer {self.layer}")

    def tasks(self, rows: int) -> int:
        """How many independent pieces of work the step has for so many rows; at least one."""
        raise NotImplementedError

    def check_rows(self, max_tokens: int) -> None:
        """Refuse a step that cannot run for so many rows.

        Raises:
            BundleError: It cannot.
        """
        raise NotImplementedError

    def write_part(self, writer: PlanWriter) -> None:
        """Append the kind's own fields."""
        raise NotImplementedError

    @classmethod
    def read_part(cls, reader: PlanReader, fields: dict[str, Any]) -> Self:
        """Take the kind's own fields.

        Args:
            reader: Stands behind the fields of all kinds.
            fields: Those, by their names here.

        Raises:
            BundleError: They are not valid.
        """
        raise NotImplementedError
