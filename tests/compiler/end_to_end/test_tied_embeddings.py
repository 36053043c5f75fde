"""Bundles of models whose head is their embedding."""

import numpy as np

from compiled import Build, token_by_token
from ossc.compiler.families.fields.tied_embeddings import HEAD
from ossc.compiler.verify import verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest
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


def test_a_quantized_one_holds_both_packed_forms_and_is_verified(compiled):
    model = compiled(Build(tied=HEAD, quant="small"))
    tensors = Manifest.read(model.bundle).quantization.tensors
    assert tensors["lm_head"] == "int4-g32"
    assert tensors["model.embed_tokens.rows"] == "int8-g32"
    assert verify_against(Bundle.open(model.bundle), model.model).holds
