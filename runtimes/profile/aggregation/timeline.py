"""When each step of one call ran, and on which threads."""

from ossc.runtimes.profile.aggregation.executions import Bundled, TimedCall
from ossc.runtimes.profile.profile import StepSpan


def timeline(bundled: Bundled, call: TimedCall) -> tuple[StepSpan, ...]:
    """Lay out the steps of one call, with the work of each thread."""
    origin = call.times.begin_ns
    return tuple(
        StepSpan(
            label=execution.step.label,
            kernel=execution.step.kernel,
            layer=execution.step.layer,
            begin_us=(execution.begin_ns - origin) / 1e3,
            us=execution.ns / 1e3,
            threads=tuple(_span(begin, end, origin) for begin, end in execution.threads.tolist()),
        )
        for execution in bundled.executions(call)
    )


def _span(begin: int, end: int, origin: int) -> tuple[float, float]:
    return ((begin - origin) / 1e3, (end - begin) / 1e3) if end else (0.0, 0.0)
