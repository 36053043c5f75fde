"""What compiling and running will take, from the checkpoint's headers alone.

The model is exported, fused, quantized and lowered as in a compilation, none of which reads a
weight, so the plan's sizes are exact; only the compiler's own memory is an allowance. Speed is
predicted from the plan and the limits of the target's reference machine.
"""

from dataclasses import dataclass

from ossc.compiler.backends import find_backend
from ossc.compiler.bundle import CODE_BYTES
from ossc.compiler.describe import memory_entry
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.lowering.lower import LoweredModel
from ossc.compiler.notes import checkpoint_notes
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.progress import Reporter, SilentReporter
from ossc.compiler.recipe import Recipe
from ossc.compiler.text.text_files import check_text_files
from ossc.runtimes.manifest import MemoryEntry
from ossc.runtimes.profile.prediction.efficiency import find_efficiencies
from ossc.runtimes.profile.prediction.predict import Prediction, TimeModel
from ossc.runtimes.profile.report.quantities import significant
from ossc.runtimes.sizes import format_bytes
from ossc.runtimes.text_files import TEXT_FILES, find_text_file
from ossc.targets import Target, find_target
from ossc.targets.errors import TargetError, UnknownNameError

COMPILER_BYTES = 1_200_000_000
"""Allowance for TVM, LLVM and the weights in flight: the most that a 20b compilation was seen to
take, rounded up."""

RUNTIME_BYTES = 16_000_000
"""Allowance for the runtime's threads, stacks and tables."""

PROMPT_TOKENS = 128
"""Length of the prompt whose speed is predicted, where the context holds as many."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast the bundle should run on the target's reference machine."""

    machine: str
    threads: int
    prompt: Prediction
    """A prompt, and the token after it."""
    last: Prediction
    """The last token of the context."""

    def __str__(self) -> str:
        prefill = significant(self.prompt.prefill_tokens_per_s)
        decode, last = (significant(1e3 / each.decode_ms) for each in (self.prompt, self.last))
        return (
            f"prefill {prefill} tok/s, decode {decode} tok/s, {last} at the end of the context; "
            f"predicted for {self.machine}, {self.threads} threads"
        )


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The price of a recipe, in bytes."""

    target: str
    checkpoint_bytes: int
    """Read once while compiling."""
    disk_bytes: int
    """The bundle."""
    compile_peak_bytes: int
    """Anonymous memory of the compiler."""
    memory: MemoryEntry
    run_anonymous_bytes: int
    """Memory of a session besides the mapped weights: KV caches, buffers, the runtime."""
    speed: Speed | None
    """None: no machine of this target, or not every kind of kernel, was ever measured."""

    def __str__(self) -> str:
        memory, size = self.memory, format_bytes
        session = memory.default
        kv = f"{size(session.kv_bytes)} of it KV cache, {size(session.kv_bytes_per_token)} a token"
        where, advice = find_target(self.target).device.weights_memory
        rows = {
            "target": self.target,
            "read": f"{size(self.checkpoint_bytes)} of weights",
            "disk": f"{size(self.disk_bytes)} at most for the bundle",
            "compile RAM": f"{size(self.compile_peak_bytes)} at most",
            "run RAM": f"{size(self.run_anonymous_bytes)} ({kv})",
            where: f"{size(memory.weights_bytes)} of weights, {advice}",
            "speed": self.speed or "not known: this target, or some kernel, was never measured",
        }
        return "\n".join(f"{name:12} {value}" for name, value in rows.items())


def estimate(recipe: Recipe, progress: Reporter | None = None) -> Estimate:
    """Estimate a compilation and a session.

    Args:
        recipe: What would be compiled.
        progress: Receives the notes on the checkpoint.

    Raises:
        OsscError: As `compile_model`, for everything that it checks before it reads weights.
    """
    order = Order.of(recipe)
    source = SourceModel.open(order.model)
    check_text_files(source.path)
    options = order.options(source.config)
    model = quantized_model(source, order.plan)
    for note in (*order.notes, *checkpoint_notes(source)):
        (progress or SilentReporter()).note(note)
    lowered = find_backend(options.target.kind).lower(model, options)
    memory = memory_entry(lowered)
    session = memory.default
    files = [find_text_file(source.path, name) for name in TEXT_FILES]
    text_bytes = sum(file.stat().st_size for file in files if file is not None)
    return Estimate(
        target=options.target.name,
        checkpoint_bytes=sum(entry.length_bytes for entry in source.checkpoint.tensors.values()),
        disk_bytes=memory.weights_bytes + text_bytes + CODE_BYTES,
        compile_peak_bytes=COMPILER_BYTES,
        memory=memory,
        run_anonymous_bytes=session.state_bytes + session.arena_bytes + RUNTIME_BYTES,
        speed=_speed(lowered, options.target),
    )


def _speed(lowered: LoweredModel, target: Target) -> Speed | None:
    roofline = target.roofline
    if roofline is None:
        return None
    last = lowered.plan.context - 1
    prompt_tokens = max(1, min(PROMPT_TOKENS, last))
    try:
        efficiencies = find_efficiencies(roofline.isa)
        model = TimeModel(lowered.plan, lowered.costs, roofline, efficiencies)
        return Speed(
            machine=roofline.source,
            threads=roofline.threads,
            prompt=model.predict(prompt_tokens=prompt_tokens, depth=min(prompt_tokens, last)),
            last=model.predict(prompt_tokens=prompt_tokens, depth=last),
        )
    except (TargetError, UnknownNameError):
        return None
