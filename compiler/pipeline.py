"""From a checkpoint to a bundle, read from top to bottom."""

from pathlib import Path

import onnx_ir as ir

from ossc.compiler.backends import find_backend
from ossc.compiler.backends.backend import Backend
from ossc.compiler.bundle import (
    check_space,
    copy_text_files,
    new_bundle,
    prepare_place,
    write_weights,
)
from ossc.compiler.describe import describe_bundle, describe_rounding
from ossc.compiler.dialect.call import tensor_classes
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.lowering.shards import place_weights
from ossc.compiler.notes import checkpoint_notes
from ossc.compiler.order import Order
from ossc.compiler.passes import Pass
from ossc.compiler.passes.fuse_add_rms_norm import FuseAddRmsNorm
from ossc.compiler.passes.fuse_glu import FuseGlu
from ossc.compiler.passes.fuse_rope_attention import FuseRopeAttention
from ossc.compiler.passes.merge_gate_up import MergeGateUp
from ossc.compiler.passes.merge_qkv import MergeQkv
from ossc.compiler.passes.quantize_weights import QuantizeWeights, RoundedWeight
from ossc.compiler.passes.select_rows_before_head import SelectRowsBeforeHead
from ossc.compiler.passes.share_tied_weights import ShareTiedWeights
from ossc.compiler.passes.stack_experts import StackExperts
from ossc.compiler.passes.transpose_experts import TransposeExperts
from ossc.compiler.progress import Reporter, SilentReporter
from ossc.compiler.quantization.plan import QuantizationPlan
from ossc.compiler.recipe import Recipe
from ossc.compiler.text.text_files import check_text_files
from ossc.runtimes.kv_type import PLAN_NAMES


def compile_model(
    recipe: Recipe, progress: Reporter | None = None, backend: Backend | None = None
) -> Path:
    """Compile a checkpoint into a bundle.

    Args:
        recipe: What to compile, for which target.
        progress: Receives the phases and the bytes of packed weights.
        backend: Takes the place of the one that serves the target.

    Returns:
        The bundle's folder.

    Raises:
        OsscError: Something about the checkpoint, the recipe or the disk does not do; nothing is
            left behind.
    """
    progress = progress or SilentReporter()
    order, place = check_recipe(recipe)
    target = order.target

    progress.phase(f"Reading {recipe.model} for {target.name}")
    source = SourceModel.open(order.model)
    check_text_files(source.path)
    options = order.options(source.config)
    backend = backend or find_backend(target.kind)
    backend.prepare(target, progress)

    progress.phase("Exporting to ONNX, fusing and quantizing")
    rounded: set[RoundedWeight] = set()
    model = quantized_model(source, order.plan, rounded)
    for note in (*order.notes, *checkpoint_notes(source)):
        progress.note(note)

    progress.phase("Lowering to kernels and a plan")
    lowered = backend.lower(model, options)

    with new_bundle(place, force=recipe.force) as new:
        folder = new.content
        check_space(folder, lowered.plan.weights_bytes)

        progress.phase("Compiling kernels")
        backend.emit(lowered, target, folder, new.scratch)

        progress.phase("Packing weights", lowered.plan.weights_bytes)
        shards = place_weights(
            lowered.weights.values(), target.alignment_bytes, target.device.shard_bytes
        )
        weights = {
            shard.file: write_weights(folder, lowered.weights, shard, progress.advance)
            for shard in shards
        }
        if rounded:
            progress.note(describe_rounding(rounded))

        for kv, lowered_plan in lowered.plans.items():
            (folder / PLAN_NAMES[kv]).write_bytes(lowered_plan.to_bytes())
        copy_text_files(source.path, folder)
        classes = tensor_classes(model)
        manifest = describe_bundle(
            folder, source.config, order.plan, classes, options, lowered, weights
        )
        manifest.write(folder)
    return order.place


def check_recipe(recipe: Recipe) -> tuple[Order, Path]:
    """Resolve a recipe and prepare the bundle's place; what killed runs left there is removed.

    Returns:
        The order, and the bundle's folder without symbolic links.

    Raises:
        OsscError: The recipe names what there is not, or the folder cannot become the bundle's.
    """
    order = Order.of(recipe)
    return order, prepare_place(order.place, force=recipe.force)


def fusion_passes() -> list[Pass]:
    """Return the passes that fuse operations, in their order."""
    return [
        ShareTiedWeights(),
        TransposeExperts(),
        StackExperts(),
        MergeQkv(),
        MergeGateUp(),
        FuseRopeAttention(),  # of merged queries, keys and values
        FuseGlu(),  # of merged gates and ups
        FuseAddRmsNorm(),
        SelectRowsBeforeHead(),
    ]


def quantized_model(
    source: SourceModel, plan: QuantizationPlan, rounded: set[RoundedWeight] | None = None
) -> ir.Model:
    """Export, fuse and quantize; weights stay in the checkpoint.

    Args:
        source: What to export.
        plan: Which scheme each class of weights gets.
        rounded: See :class:`QuantizeWeights`.
    """
    model = source.export()
    for each in [*fusion_passes(), QuantizeWeights(plan, rounded)]:
        model = each(model).model
    return model
