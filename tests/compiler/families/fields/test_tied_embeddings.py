"""Which weight stands for the one that a checkpoint with tied embeddings lacks."""

import json
from pathlib import Path

import pytest
from transformers import GptOssForCausalLM

from ossc.compiler.families.fields.tied_embeddings import EMBEDDING, HEAD
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.notes import checkpoint_notes as notes
from ossc.compiler.oracle.reference import reference_logits as graph_logits
from ossc.targets.errors import CheckpointError
from synthetic import make_checkpoint
from tolerances import BUNDLE_LOGITS
from transformers_model import reference_logits as expected_logits


def load(path: Path) -> GptOssForCausalLM:
    """Let transformers load a checkpoint by itself."""
    return GptOssForCausalLM.from_pretrained(
        path, dtype="float32", attn_implementation="eager", experts_implementation="eager"
    ).eval()


def assert_same_logits(source: SourceModel, loaded: GptOssForCausalLM) -> None:
    ids = list(range(3, 43))
    expected = expected_logits(loaded, ids)
    actual = graph_logits(source.export(), ids).logits
    assert abs(actual - expected).max() <= BUNDLE_LOGITS * abs(expected).max()


@pytest.mark.parametrize(("missing", "there"), [(HEAD, EMBEDDING), (EMBEDDING, HEAD)])
def test_the_one_that_is_there_stands_for_both(tmp_path, missing, there):
    source = SourceModel.open(make_checkpoint(tmp_path, tied=missing))
    assert list(notes(source)) == []
    weights = source.export().graph.initializers
    assert weights[missing].const_value.tobytes() == source.checkpoint.tensor(there).tobytes()
    assert weights[missing].name == missing


@pytest.mark.parametrize("missing", [HEAD, EMBEDDING])
def test_the_graph_computes_what_transformers_computes_of_one_matrix(tmp_path, missing):
    source = SourceModel.open(make_checkpoint(tmp_path, experts="bf16", tied=missing))
    loaded = load(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert_same_logits(source, loaded)


def test_where_both_are_there_each_is_used_and_a_note_says_so(tmp_path):
    make_checkpoint(tmp_path, experts="bf16")
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tie_word_embeddings": True}))
    source = SourceModel.open(tmp_path)
    weights = source.export().graph.initializers
    for name in (EMBEDDING, HEAD):
        assert weights[name].const_value.tobytes() == source.checkpoint.tensor(name).tobytes()
    (note,) = notes(source)
    loaded = load(tmp_path)
    assert loaded.lm_head.weight is not loaded.model.embed_tokens.weight
    assert_same_logits(source, loaded)
    assert "tie_word_embeddings true" in note
    assert "each is used as it is" in note


def test_a_missing_head_without_tied_embeddings_is_refused(tmp_path):
    make_checkpoint(tmp_path, tied=HEAD)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tie_word_embeddings": False}))
    with pytest.raises(CheckpointError, match=r"has no tensor 'lm_head\.weight'"):
        SourceModel.open(tmp_path).export()
