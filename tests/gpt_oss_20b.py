"""The plan of gpt-oss-20b: two of its layers are lowered, and stand for all of them."""

from dataclasses import replace
from pathlib import Path

from ossc.compiler.backends.cpu.backend import BACKEND
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.lowering.lower import LoweredModel
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.plan import Plan, Segment
from synthetic import GPT_OSS_20B, make_checkpoint

SHAPE = replace(GPT_OSS_20B, num_hidden_layers=2)
"""One layer of each kind."""

PAIRS = GPT_OSS_20B.num_hidden_layers // 2


def lower_two_layers(folder: Path) -> LoweredModel:
    """Lower the two layers with the preset default; no weight is there or read."""
    checkpoint_folder = make_checkpoint(folder / "20b", SHAPE, sparse=True)
    recipe = Recipe(model=checkpoint_folder, target="cpu:x86-64-v3")
    source = SourceModel.open(checkpoint_folder)
    model = quantized_model(source, Order.of(recipe).plan)
    return BACKEND.lower(model, Order.of(recipe).options(source.config))


def all_layers(plan: Plan) -> Plan:
    """Repeat the steps of the two layers twelve times; buffers stay those of the two."""
    return replace(plan, segments=tuple(_repeated(segment) for segment in plan.segments))


def _repeated(segment: Segment) -> Segment:
    in_layers = [step for step in segment.steps if step.layer >= 0]
    if not in_layers:
        return segment
    first, last = (segment.steps.index(step) for step in (in_layers[0], in_layers[-1]))
    before, layers, after = (
        segment.steps[:first],
        segment.steps[first : last + 1],
        segment.steps[last + 1 :],
    )
    return replace(segment, steps=(*before, *layers * PAIRS, *after))
