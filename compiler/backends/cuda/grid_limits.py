"""What every CUDA device takes of a launch, whatever it is."""

from ossc.runtimes.plan import DeviceKernel, Plan
from ossc.targets.errors import LoweringError

MAX_GROUPS = {"y": 65535, "z": 65535}
"""Blocks of a grid in a dimension; in x as many as a plan can say."""


def check_grids(plan: Plan) -> None:
    """Refuse a launch that no device takes: the driver would only say that a value is invalid.

    Raises:
        LoweringError: A step of the largest chunk has too many groups.
    """
    for segment in plan.segments:
        for step in segment.steps:
            assert isinstance(step, DeviceKernel), "a plan for GPUs launches kernels"
            _check(step, segment.max_tokens)


def _check(step: DeviceKernel, tokens: int) -> None:
    for axis, groups in zip("xyz", step.grid, strict=True):
        count, most = groups.count(tokens), MAX_GROUPS.get(axis)
        if most is not None and count > most:
            raise LoweringError(
                f"{step.label} ({step.kernel}) has {count} groups in {axis} for {tokens} tokens, "
                f"and a CUDA device takes {most}; compile with a smaller prefill_chunk."
            )
