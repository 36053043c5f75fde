"""What compiling and running will take, from the checkpoint's headers alone.

The model is exported, fused, quantized and lowered as in a compilation, none of which reads a
weight, so the plan's sizes are exact; only the compiler's own memory is an allowance.
"""

from dataclasses import dataclass

from ossc.compiler.bundle import CODE_BYTES, TEXT_FILES
from ossc.compiler.checkpoint import Checkpoint
from ossc.compiler.describe import memory_entry
from ossc.compiler.lowering.lower import lower_model
from ossc.compiler.pipeline import lowering_options, quantized_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.manifest import MemoryEntry
from ossc.runtimes.sizes import format_bytes

COMPILER_BYTES = 1_200_000_000
"""Allowance for TVM, LLVM and the weights in flight: the most that a 20b compilation was seen to
take, rounded up."""

RUNTIME_BYTES = 16_000_000
"""Allowance for the runtime's threads, stacks and tables."""


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

    def __str__(self) -> str:
        memory, size = self.memory, format_bytes
        kv = f"{size(memory.kv_bytes)} of it KV cache, {size(memory.kv_bytes_per_token)} a token"
        rows = {
            "target": self.target,
            "read": f"{size(self.checkpoint_bytes)} of weights",
            "disk": f"{size(self.disk_bytes)} at most for the bundle",
            "compile RAM": f"{size(self.compile_peak_bytes)} at most",
            "run RAM": f"{size(self.run_anonymous_bytes)} ({kv})",
            "mapped": f"{size(memory.weights_bytes)} of weights, fast when they fit in free RAM",
        }
        return "\n".join(f"{name:12} {value}" for name, value in rows.items())


def estimate(recipe: Recipe) -> Estimate:
    """Estimate a compilation and a session.

    Raises:
        OsscError: As `compile_model`, for everything that it checks before it reads weights.
    """
    checkpoint = Checkpoint.open(recipe.model)
    options = lowering_options(recipe, checkpoint.config)
    model = quantized_model(checkpoint, recipe.resolve_plan())
    lowered = lower_model(model, options)
    memory = memory_entry(checkpoint.config, lowered)
    files = [recipe.model / name for name in TEXT_FILES]
    text_bytes = sum(file.stat().st_size for file in files if file.is_file())
    return Estimate(
        target=options.target.name,
        checkpoint_bytes=sum(entry.length_bytes for entry in checkpoint.tensors.values()),
        disk_bytes=memory.weights_bytes + text_bytes + CODE_BYTES,
        compile_peak_bytes=COMPILER_BYTES,
        memory=memory,
        run_anonymous_bytes=memory.state_bytes + memory.arena_bytes + RUNTIME_BYTES,
    )
