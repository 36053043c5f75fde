"""From a checkpoint to a bundle, read from top to bottom."""

from pathlib import Path

import onnx_ir as ir

from ossc.compiler.backends import find_backend
from ossc.compiler.bundle import (
    check_space,
    copy_text_files,
    new_bundle,
    prepare_place,
    write_weights,
)
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.config import ModelConfig
from ossc.compiler.describe import describe_bundle, describe_rounding
from ossc.compiler.export import export_model
from ossc.compiler.lowering.plan import weight_offsets
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.notes import checkpoint_notes
from ossc.compiler.passes import Pass
from ossc.compiler.passes.fuse_add_rms_norm import FuseAddRmsNorm
from ossc.compiler.passes.fuse_combine_experts import FuseCombineExperts
from ossc.compiler.passes.fuse_embedding import FuseEmbedding
from ossc.compiler.passes.fuse_expert_linear import FuseExpertLinear
from ossc.compiler.passes.fuse_expert_swiglu import FuseExpertSwiGlu
from ossc.compiler.passes.fuse_linear import FuseLinear
from ossc.compiler.passes.fuse_qkv import FuseQkv
from ossc.compiler.passes.fuse_rope_attention import FuseRopeAttention
from ossc.compiler.passes.fuse_router import FuseRouter
from ossc.compiler.passes.quantize_weights import QuantizeWeights, RoundedWeight
from ossc.compiler.passes.select_rows_before_head import SelectRowsBeforeHead
from ossc.compiler.progress import Reporter, SilentReporter
from ossc.compiler.quantization.plan import QuantizationPlan
from ossc.compiler.recipe import Recipe
from ossc.compiler.text.text_files import check_text_files
from ossc.runtimes.kv_type import PLAN_NAMES
from ossc.targets import Target


def compile_model(recipe: Recipe, progress: Reporter | None = None) -> Path:
    """Compile a checkpoint into a bundle.

    Args:
        recipe: What to compile, for which target.
        progress: Receives the phases and the bytes of packed weights.

    Returns:
        The bundle's folder.

    Raises:
        OsscError: Something about the checkpoint, the recipe or the disk does not do; nothing is
            left behind.
    """
    progress = progress or SilentReporter()
    target, plan, place = check_recipe(recipe)

    progress.phase(f"Reading {recipe.model} for {target.name}")
    checkpoint = Checkpoint.open(recipe.model)
    check_text_files(checkpoint.path)
    options = lowering_options(recipe, checkpoint.config)
    backend = find_backend(target.kind)
    backend.prepare(target, progress)

    progress.phase("Exporting to ONNX, fusing and quantizing")
    rounded: set[RoundedWeight] = set()
    model = quantized_model(checkpoint, plan, rounded)
    for note in checkpoint_notes(checkpoint):
        progress.note(note)

    progress.phase("Lowering to kernels and a plan")
    lowered = backend.lower(model, options)

    with new_bundle(place, force=recipe.force) as new:
        folder = new.content
        check_space(folder, lowered.plan.weights_bytes)

        progress.phase("Compiling kernels")
        backend.emit(lowered, target, folder, new.scratch)

        progress.phase("Packing weights", lowered.plan.weights_bytes)
        offsets, total_bytes = weight_offsets(lowered.weights.values(), target.alignment_bytes)
        weights = write_weights(folder, lowered.weights, offsets, total_bytes, progress.advance)
        if rounded:
            progress.note(describe_rounding(rounded))

        for kv, lowered_plan in lowered.plans.items():
            (folder / PLAN_NAMES[kv]).write_bytes(lowered_plan.to_bytes())
        copy_text_files(checkpoint.path, folder)
        describe_bundle(folder, checkpoint.config, plan, options, lowered, weights).write(folder)
    return recipe.resolve_out(target)


def check_recipe(recipe: Recipe) -> tuple[Target, QuantizationPlan, Path]:
    """Resolve a recipe as far as that goes without reading the checkpoint.

    Returns:
        The target, the quantization plan, and the bundle's folder without symbolic links; what
        killed runs left there is removed.

    Raises:
        OsscError: The recipe names what there is not, or the folder cannot become the bundle's.
    """
    target = recipe.resolve_target()
    plan = recipe.resolve_plan()
    return target, plan, prepare_place(recipe.resolve_out(target), force=recipe.force)


def lowering_options(recipe: Recipe, config: ModelConfig) -> LoweringOptions:
    """Resolve what the lowering needs from a recipe."""
    target = recipe.resolve_target()
    context = recipe.resolve_context(config)
    return LoweringOptions(
        target=target,
        activations=recipe.resolve_plan().activations,
        context=context,
        prefill_chunk=min(recipe.prefill_chunk or target.prefill_chunk, max(context, 2)),
    )


def fusion_passes() -> list[Pass]:
    """Return the passes that fuse operations, in their order."""
    return [
        FuseEmbedding(),
        FuseLinear(),
        FuseQkv(),  # of three fused linears
        FuseRopeAttention(),  # of the fused QKV
        FuseRouter(),
        FuseExpertLinear(),
        FuseExpertSwiGlu(),  # of an expert linear
        FuseCombineExperts(),
        FuseAddRmsNorm(),
        SelectRowsBeforeHead(),
    ]


def quantized_model(
    checkpoint: Checkpoint, plan: QuantizationPlan, rounded: set[RoundedWeight] | None = None
) -> ir.Model:
    """Export, fuse and quantize; weights stay in the checkpoint.

    Args:
        checkpoint: What to export.
        plan: Which scheme each class of weights gets.
        rounded: See :class:`QuantizeWeights`.
    """
    model = export_model(checkpoint)
    for each in [*fusion_passes(), QuantizeWeights(plan, rounded)]:
        model = each(model).model
    return model
