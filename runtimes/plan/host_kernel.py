"""Steps that call a function of the program."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ossc.runtimes.plan.c_name import require_c_name
from ossc.runtimes.plan.checks import require
from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.step import StepOfPlan

MAX_TASKS = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class HostKernel(StepOfPlan):
    """One kernel call; the tensors are in the order of the kernel's parameters.

    A ranged kernel gets ``begin`` and ``end`` after its buffers; the runtime splits its
    ``tasks_fixed + tasks_per_token * n_tokens`` independent tasks over the threads. One that is not
    ranged is called once, on one thread.
    """

    KIND: ClassVar[int] = 0

    kernel: str
    ranged: bool
    tasks_fixed: int
    tasks_per_token: int

    def __post_init__(self) -> None:
        super().__post_init__()
        kernel, counts = self.kernel, (self.tasks_fixed, self.tasks_per_token)
        require_c_name(kernel, "kernel")
        require(all(0 <= count <= MAX_TASKS for count in counts), f"{kernel} has {counts} tasks")
        require(self.ranged == any(counts), f"ranged and the number of tasks of {kernel} disagree")

    def tasks(self, rows: int) -> int:
        """Tasks, or the one call; see `StepOfPlan`."""
        return self.tasks_fixed + self.tasks_per_token * rows if self.ranged else 1

    def check_rows(self, max_tokens: int) -> None:
        """Refuse more tasks than a runtime counts; see `StepOfPlan`."""
        tasks = self.tasks(max_tokens)
        require(tasks <= MAX_TASKS, f"{self.kernel} has {tasks} tasks")

    def write_part(self, writer: PlanWriter) -> None:
        """Append the kernel and its tasks."""
        writer.put_text(self.kernel)
        writer.put("BII", self.ranged, self.tasks_fixed, self.tasks_per_token)

    @classmethod
    def read_part(cls, reader: PlanReader, fields: dict[str, Any]) -> Self:
        """Take the kernel and its tasks; see `StepOfPlan`."""
        kernel = reader.take_text()
        ranged, tasks_fixed, tasks_per_token = reader.take("BII")
        require(ranged <= 1, f"ranged of {kernel} is {ranged}")
        return cls(
            kernel=kernel,
            ranged=bool(ranged),
            tasks_fixed=tasks_fixed,
            tasks_per_token=tasks_per_token,
            **fields,
        )
