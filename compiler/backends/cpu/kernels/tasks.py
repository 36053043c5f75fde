"""Work whose amount is known only when the kernel runs, spread over a given number of tasks."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr


def spread(task: Expr, tasks: Expr, units: Expr) -> tuple[Expr, Expr]:
    """Return the first unit of a task, and the one behind its last.

    The runtime gives threads ranges of neighbouring tasks; so that every range has its share of the
    work, tasks with none lie between those with some. The first task has some.
    """
    tasks, units = (_int64(number) for number in (tasks, units))
    first, end = (
        T.Bind(v.convert((_int64(task + more) * units + (tasks - 1)) // tasks, "int32"))
        for more in (0, 1)
    )
    return first, end


def _int64(value: Expr) -> Expr:
    return v.convert(value, "int64") if not isinstance(value, int) else v.constant(value, "int64")
