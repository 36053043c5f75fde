"""Every family's graph against transformers, which reads the checkpoint by itself."""

import numpy as np
import pytest

from family_models import CASES
from ossc.compiler.families import family_names
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.notes import checkpoint_notes
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.verify_reading import verify_reading
from tolerances import BUNDLE_LOGITS

TOKENS = 40
"""More than any case's window."""


def token_ids(source: SourceModel) -> list[int]:
    return np.random.default_rng(0).integers(0, source.config.vocab_size, TOKENS).tolist()


def test_every_family_but_the_first_has_a_case():
    assert {case.family for case in CASES.values()} | {"gpt_oss"} == set(family_names())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_the_graph_computes_what_transformers_computes(tmp_path, name):
    source = SourceModel.open(CASES[name].make(tmp_path))
    assert [
        note for note in checkpoint_notes(source) if "names no token that ends" not in note
    ] == []
    ids = token_ids(source)
    oracle = run_transformers(source.checkpoint, ids, range(TOKENS))
    bound = BUNDLE_LOGITS * np.abs(oracle.logits).max()
    for model in (source.export(), quantized_model(source, load_plan("none"))):
        actual = reference_logits(model, ids, tokens_a_run=13)
        np.testing.assert_allclose(actual.logits, oracle.logits, rtol=0, atol=bound)
        order = np.sort(actual.router_indices, axis=2)
        np.testing.assert_array_equal(order, np.sort(oracle.router_indices, axis=2))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["llama-3", "mistral-window", "ministral3", "mixtral-33"])
def test_our_reading_of_the_checkpoint_is_that_of_transformers(tmp_path, name):
    reading = verify_reading(SourceModel.open(CASES[name].make(tmp_path)))
    assert reading.read_otherwise == ()
    assert reading.holds
