"""How long a bundle should take on a machine, from its plan and the machine's limits alone.

A step takes the launch, and the longer of moving its bytes and doing its operations: each limit
(``../roofline.py``) divided by the share of it that this kind of kernel was seen to reach
(``efficiency.py``). Steps run one after the other, so their times add up.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ossc.runtimes.kernel_cost import KernelCost
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.plan import Plan, Step
from ossc.runtimes.profile.passes import SizedStep, pass_steps
from ossc.runtimes.profile.prediction.efficiency import Efficiencies, find_efficiencies
from ossc.runtimes.profile.roofline import Roofline, limits, working_set_bytes
from ossc.targets import find_target
from ossc.targets.errors import TargetError, UsageError


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One kernel's calls in a phase, and the parts of their time.

    The time of a call is that of its launch and of its memory or its arithmetic, which overlap.
    """

    kernel: str
    """Its symbol."""

    cost: KernelCost
    calls: int
    bytes: float
    operations: float
    launch_ms: float
    memory_ms: float
    arithmetic_ms: float
    ms: float


@dataclass(frozen=True, kw_only=True)
class PhaseTime:
    """A token of decode, or a whole prompt."""

    kernels: tuple[StepTime, ...]
    """One entry a kernel, the longest first."""

    @property
    def ms(self) -> float:
        """The phase's time."""
        return sum(kernel.ms for kernel in self.kernels)

    @property
    def bytes(self) -> float:
        """What all calls move."""
        return sum(kernel.bytes for kernel in self.kernels)

    @property
    def operations(self) -> float:
        """What all calls compute."""
        return sum(kernel.operations for kernel in self.kernels)

    @property
    def launches(self) -> int:
        """How many calls there are."""
        return sum(kernel.calls for kernel in self.kernels)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What should come out."""

    depth: int
    """Positions in the context before the decoded token."""

    prompt_tokens: int
    decode: PhaseTime
    """One token."""

    prefill: PhaseTime
    """The whole prompt."""

    @property
    def decode_ms(self) -> float:
        """Time of one token."""
        return self.decode.ms

    @property
    def prefill_tokens_per_s(self) -> float:
        """Tokens of the prompt in a second."""
        return 1e3 * self.prompt_tokens / self.prefill.ms


def predict(
    plan: Plan,
    manifest: Manifest,
    roofline: Roofline,
    *,
    prompt_tokens: int,
    depth: int,
    threads: int,
) -> Prediction:
    """Predict a bundle's decode and prefill.

    Args:
        plan: The bundle's.
        manifest: The bundle's.
        roofline: Of the machine.
        prompt_tokens: Length of the prompt.
        depth: Positions in the context before the decoded token.
        threads: That work together.

    Raises:
        BundleError: The manifest says nothing of a kernel of the plan.
        TargetError: A kind of kernel, or of device, was never measured.
        UsageError: The roofline is that of another number of threads or of other kernels.
        UnknownNameError: The target, or its instruction set, is not known here.
    """
    if threads != roofline.threads:
        raise UsageError(
            f"The limits of the machine are those of {roofline.threads} threads, so they say "
            f"nothing of {threads}; give --threads {roofline.threads}, or limits measured with "
            f"{threads}."
        )
    _check_isa(manifest.target.name, roofline)
    model = TimeModel(plan, manifest.kernels, roofline, find_efficiencies(roofline.isa))
    return model.predict(prompt_tokens=prompt_tokens, depth=depth)


def _check_isa(target: str, roofline: Roofline) -> None:
    found = find_target(target)
    if found.kind != "cpu":
        raise TargetError(
            f"The speed of kernels on {found.kind} devices was never measured, so nothing can be "
            "predicted; profile the bundle on the device."
        )
    isas = found.host.isas
    if roofline.isa not in isas:
        raise UsageError(
            f"The limits are those of kernels for {roofline.isa}, and a bundle for {target} has "
            f"none; give the limits of a machine on which kernels for {' or '.join(isas)} run."
        )


@dataclass(frozen=True)
class TimeModel:
    """A plan on a machine."""

    plan: Plan
    costs: Mapping[str, KernelCost]
    roofline: Roofline
    efficiencies: Efficiencies

    def predict(self, *, prompt_tokens: int, depth: int) -> Prediction:
        """Predict one token at ``depth``, and a prompt.

        Raises:
            BundleError: A kernel of the plan has no cost.
            TargetError: A kind of kernel was never measured.
        """
        chunk = self.plan.segment("prefill").max_tokens
        last = prompt_tokens - 1
        prompt = [
            self._pass(min(chunk, prompt_tokens - first), first, head=first + chunk > last)
            for first in range(0, prompt_tokens, chunk)
        ]
        return Prediction(
            depth=depth,
            prompt_tokens=prompt_tokens,
            decode=_phase(self._pass(1, depth, head=True)),
            prefill=_phase([step for part in prompt for step in part]),
        )

    def _pass(self, tokens: int, position: int, *, head: bool) -> list["_TimedStep"]:
        """Time the steps of a chunk as the runtime runs it; the head sees its last token only."""
        steps = pass_steps(self.plan, self.costs, tokens, position, head=head)
        working_set = working_set_bytes((one.cost, one.call) for one in steps)
        return [self._step(one, working_set) for one in steps]

    def _step(self, sized: SizedStep, working_set: float) -> "_TimedStep":
        times = limits(sized.cost, sized.call, self.roofline, working_set)
        efficiency = self.efficiencies.of(sized.cost)
        idle = idle_factor(sized.step, sized.call.tokens, self.roofline.threads)
        share = efficiency.share(sized.cost, sized.call)
        return _TimedStep(
            step=sized.step,
            cost=sized.cost,
            call=sized.call,
            launch_ms=times.launch_ms,
            memory_ms=idle * times.memory_ms / efficiency.memory,
            arithmetic_ms=idle * (times.f32_ms + times.int8_ms) / share,
        )


@dataclass(frozen=True, kw_only=True)
class _TimedStep(SizedStep):
    launch_ms: float
    memory_ms: float
    arithmetic_ms: float

    @property
    def ms(self) -> float:
        return self.launch_ms + max(self.memory_ms, self.arithmetic_ms)


def idle_factor(step: Step, tokens: int, threads: int) -> float:
    """Return how much longer a step takes because its tasks do not occupy all threads evenly."""
    tasks = step.tasks(tokens)
    rounds = -(-tasks // threads)
    return rounds * threads / tasks


def _phase(steps: Sequence[_TimedStep]) -> PhaseTime:
    by_kernel: dict[str, list[_TimedStep]] = defaultdict(list)
    for step in steps:
        by_kernel[step.step.kernel].append(step)
    times = [_total(kernel, same) for kernel, same in by_kernel.items()]
    return PhaseTime(kernels=tuple(sorted(times, key=lambda time: -time.ms)))


def _total(kernel: str, steps: Sequence[_TimedStep]) -> StepTime:
    return StepTime(
        kernel=kernel,
        cost=steps[0].cost,
        calls=len(steps),
        bytes=sum(step.cost.bytes.of(step.call) for step in steps),
        operations=sum(step.cost.operations.of(step.call) for step in steps),
        launch_ms=sum(step.launch_ms for step in steps),
        memory_ms=sum(step.memory_ms for step in steps),
        arithmetic_ms=sum(step.arithmetic_ms for step in steps),
        ms=sum(step.ms for step in steps),
    )
