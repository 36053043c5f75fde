"""What one pass through the model runs: the steps of a token or a chunk, each with its size."""

from collections.abc import Mapping
from dataclasses import dataclass

from ossc.runtimes.kernel_cost import Call, KernelCost
from ossc.runtimes.plan import Plan, Step
from ossc.runtimes.profile.roofline import working_set_bytes
from ossc.targets.errors import BundleError


@dataclass(frozen=True, kw_only=True)
class SizedStep:
    """A step as a pass would run it."""

    step: Step
    cost: KernelCost
    call: Call


def pass_steps(
    plan: Plan, costs: Mapping[str, KernelCost], tokens: int, position: int, *, head: bool
) -> list[SizedStep]:
    """List the steps of a pass in their order.

    Args:
        plan: The bundle's.
        costs: By kernel.
        tokens: One of decode, or those of a chunk.
        position: Of the first one.
        head: Whether the logits of the last one are computed.

    Raises:
        BundleError: A kernel of the plan has no cost.
    """
    body = plan.segment("decode" if tokens == 1 else "prefill")
    sized = [_sized(step, costs, tokens, position) for step in body.steps]
    if head:
        sized += [_sized(step, costs, 1, 0) for step in plan.segment("head", 1).steps]
    return sized


def pass_bytes(plan: Plan, costs: Mapping[str, KernelCost], tokens: int, position: int) -> float:
    """Return the working set of a pass: weights of all experts and keys, which it reads anew.

    Raises:
        BundleError: A kernel of the plan has no cost.
    """
    steps = pass_steps(plan, costs, tokens, position, head=True)
    return working_set_bytes((one.cost, one.call) for one in steps)


def _sized(step: Step, costs: Mapping[str, KernelCost], tokens: int, position: int) -> SizedStep:
    if step.kernel not in costs:
        raise BundleError(
            f"The manifest says nothing of the kernel {step.kernel}; compile the model again."
        )
    cost = costs[step.kernel]
    return SizedStep(step=step, cost=cost, call=cost.call(tokens, position))
