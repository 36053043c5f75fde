"""What to compile: one model for one target, validated before any work is done."""

from dataclasses import dataclass, replace
from pathlib import Path

from ossc.compiler.checkpoint.hub_cache import model_name, require_outside_cache
from ossc.compiler.checkpoint.model_folder import find_model_folder
from ossc.compiler.config import ModelConfig
from ossc.compiler.quantization.plan import QuantizationPlan, load_plan
from ossc.targets import Target, resolve_target
from ossc.targets.errors import UnknownNameError, UsageError

DEFAULT_CONTEXT = 4096
"""Positions of the KV cache, where the model has as many and the user does not say."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The order that `compile_model` carries out."""

    model: Path | str
    """A folder in Hugging Face's layout, one of the hub's cache, or ``org/name[@revision]`` of it;
    see `find_model_folder`."""

    target: str = "cpu"
    """Name of a target; ``cpu`` is the best one that fits this machine."""

    quant: str = "default"
    """A preset, or a plan as a TOML file."""

    context: int | None = None
    """Positions that a session can hold; None: 4096, or what the model has if that is less."""

    prefill_chunk: int | None = None
    """Most tokens of a prompt that are computed at once; None: the target's."""

    instruction_sets: tuple[str, ...] | None = None
    """Those of the target's further instruction sets that hot kernels are also built for; None:
    all. Each one more makes the code larger and compiling longer."""

    out: Path | None = None
    """The bundle's folder; None: beside the caller, named after model and target."""

    force: bool = False
    """Whether a bundle at ``out`` is replaced."""

    def resolve_target(self) -> Target:
        """Return the named target, with the instruction sets that were chosen.

        Raises:
            UnknownNameError: There is no such target, or it has no such instruction set.
            TargetError: It is ``cpu``, and none fits this machine.
        """
        target = resolve_target(self.target)
        if self.instruction_sets is None:
            return target
        known = {each.name: each for each in target.host.instruction_sets}
        for name in self.instruction_sets:
            if name not in known:
                raise UnknownNameError(f"instruction set of {target.name}", name, known)
        chosen = tuple(each for name, each in known.items() if name in self.instruction_sets)
        return replace(target, host=replace(target.host, instruction_sets=chosen))

    def resolve_plan(self) -> QuantizationPlan:
        """Return the quantization plan.

        Raises:
            UnknownNameError: There is no such preset.
            QuantizationError: The plan's file is not valid.
        """
        return load_plan(self.quant)

    def resolve_context(self, config: ModelConfig) -> int:
        """Return the positions that the KV caches hold.

        Raises:
            UsageError: The context is not between 1 and what the model was made for.
        """
        longest = config.max_position_embeddings
        context = min(DEFAULT_CONTEXT, longest) if self.context is None else self.context
        if not 1 <= context <= longest:
            raise UsageError(
                f"The context is {context} tokens, but this model takes 1 to {longest}; "
                "give --context in that range."
            )
        return context

    def resolve_out(self, target: Target) -> Path:
        """Return the bundle's folder: ``out``, or ``<model>-<target>`` in the current folder.

        Raises:
            CheckpointError: There is no such model.
            UsageError: The folder would be in the cache of the Hugging Face hub.
        """
        out = self.out
        if out is None:
            name = model_name(find_model_folder(self.model))
            out = Path(f"{name}-{target.name.replace(':', '-')}")
        require_outside_cache(out)
        return out
