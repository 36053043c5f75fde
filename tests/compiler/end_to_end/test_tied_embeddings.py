"""Bundles of models whose head is their embedding."""

import numpy as np
import pytest

from compiled import Build, token_by_token
from ossc.compiler.backends.cpu.backend import BACKEND
from ossc.compiler.families.fields.tied_embeddings import HEAD, NAMES
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.recipe import Recipe
from ossc.compiler.verify import verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest
from synthetic import make_checkpoint
from tolerances import BUNDLE_LOGITS
from transformers_model import load_float32, reference_logits


def test_every_position_has_the_logits_of_transformers(compiled):
    model = compiled(Build(tied=HEAD))
    ids = model.token_ids(40)
    reference = load_float32(model.source)
    expected = reference_logits(reference, ids)
    with model.session() as session:
        actual = np.concatenate(
            [session.prefill(ids[:30], all_logits=True), token_by_token(session, ids[30:])]
        )
    assert abs(actual - expected).max() <= BUNDLE_LOGITS * abs(expected).max()


def test_one_in_two_schemes_is_held_twice(compiled):
    model = compiled(Build(tied=HEAD, quant="small"))
    tensors = Manifest.read(model.bundle).quantization.tensors
    assert tensors["lm_head"] == "int4-g32"
    assert tensors["model.embed_tokens"] == "int8-g32"
    assert verify_against(Bundle.open(model.bundle), model.model).holds


@pytest.mark.parametrize("tied", NAMES)
@pytest.mark.parametrize(("quant", "scheme"), [("none", "bf16"), ("default", "int8-g32")])
def test_one_in_one_scheme_is_held_once(tied, quant, scheme, tmp_path):
    """And the head of a model in which they are not tied is as large again."""
    weights = {}
    for name, missing in (("tied", tied), ("apart", None)):
        model = make_checkpoint(tmp_path / name, tied=missing)
        source = SourceModel.open(model)
        options = Order.of(Recipe(model=model, quant=quant)).options(source.config)
        lowered = BACKEND.lower(quantized_model(source, load_plan(quant)), options)
        weights[name] = {each.name: each for each in lowered.weights.values()}
    more = weights["apart"].keys() - weights["tied"].keys()
    assert len(more) == 1
    (embedding,) = [
        each for name, each in weights["tied"].items() if "embed" in name or "head" in name
    ]
    assert embedding.scheme == scheme
    assert weights["apart"][more.pop()].size_bytes == embedding.size_bytes
