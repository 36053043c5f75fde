"""A recipe with every name resolved, before any work is done."""

from dataclasses import dataclass, replace
from pathlib import Path

from ossc.compiler.checkpoint.hub_cache import model_name, require_outside_cache
from ossc.compiler.checkpoint.model_folder import find_model_folder
from ossc.compiler.families.model_config import ModelConfig
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.quantization.plan import Activations, QuantizationPlan, load_plan
from ossc.compiler.recipe import Recipe
from ossc.targets import Target, resolve_target
from ossc.targets.errors import UnknownNameError, UsageError

DEFAULT_CONTEXT = 4096
"""Positions of the KV cache, where the model has as many and the user does not say."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is compiled, for what, and where the bundle goes."""

    model: Path | str
    target: Target
    """With the instruction sets that were chosen."""
    plan: QuantizationPlan
    """With the activations that the target's device computes with."""
    activations_were: Activations
    """What the plan says of them."""
    place: Path
    """The bundle's folder, as it was given."""
    context: int | None
    """None: as much as usual."""
    prefill_chunk: int

    @classmethod
    def of(cls, recipe: Recipe) -> "Order":
        """Resolve a recipe; the checkpoint is not read.

        Raises:
            UnknownNameError: There is no such target, instruction set or preset.
            TargetError: The target is ``cpu``, and none fits this machine.
            QuantizationError: The plan's file is not valid.
            CheckpointError: There is no such model.
            UsageError: The bundle would be in the cache of the Hugging Face hub.
        """
        target = _chosen_target(recipe)
        plan = load_plan(recipe.quant)
        return cls(
            model=recipe.model,
            target=target,
            plan=replace(plan, activations="f32") if target.device.float_activations else plan,
            activations_were=plan.activations,
            place=_place(recipe, target),
            context=recipe.context,
            prefill_chunk=recipe.prefill_chunk or target.prefill_chunk,
        )

    @property
    def notes(self) -> list[str]:
        """What a user should know of how the recipe was read."""
        if self.activations_were == self.plan.activations:
            return []
        return [
            f"{self.target.name} computes with {self.plan.activations} activations, where the plan "
            f"{self.plan.name} says {self.activations_were}: no less exact."
        ]

    def options(self, config: ModelConfig) -> LoweringOptions:
        """Return what a model of this configuration is lowered for.

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
        return LoweringOptions(
            target=self.target,
            activations=self.plan.activations,
            context=context,
            prefill_chunk=min(self.prefill_chunk, max(context, 2)),
        )


def _chosen_target(recipe: Recipe) -> Target:
    target = resolve_target(recipe.target)
    if recipe.instruction_sets is None:
        return target
    known = {each.name: each for each in target.host.instruction_sets}
    for name in recipe.instruction_sets:
        if name not in known:
            raise UnknownNameError(f"instruction set of {target.name}", name, known)
    chosen = tuple(each for name, each in known.items() if name in recipe.instruction_sets)
    return replace(target, host=replace(target.host, instruction_sets=chosen))


def _place(recipe: Recipe, target: Target) -> Path:
    """Return where the bundle goes: ``out``, or ``<model>-<target>`` in the current folder."""
    out = recipe.out
    if out is None:
        name = model_name(find_model_folder(recipe.model))
        out = Path(f"{name}-{target.name.replace(':', '-')}")
    require_outside_cache(out)
    return out
