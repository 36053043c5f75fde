"""What is said of a checkpoint that compiles."""

import json
from pathlib import Path
from typing import Any

import pytest

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.notes import MOST_NAMES, checkpoint_notes
from synthetic import make_checkpoint


def write(file: Path, **fields: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def notes(path: Path) -> list[str]:
    found = list(checkpoint_notes(SourceModel.open(path)))
    assert all(note.endswith(".") and "\n" not in note for note in found)
    return found


@pytest.mark.parametrize("form", [4, 5])
@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_an_ordinary_checkpoint_has_no_notes(tmp_path, form, experts):
    make_checkpoint(tmp_path, config_form=form, experts=experts, tokenizer=True, sparse=True)
    assert notes(tmp_path) == []


def test_a_model_that_never_stops_is_told_of(tmp_path):
    make_checkpoint(tmp_path, generation_config=False, sparse=True)
    (note,) = notes(tmp_path)
    assert "names no token that ends an answer" in note
    assert "add eos_token_id to generation_config.json" in note


def test_stop_tokens_beyond_those_given_are_told_of(tmp_path):
    make_checkpoint(tmp_path, tokenizer=True, sparse=True)
    write(tmp_path / "generation_config.json", eos_token_id=505)
    (note,) = notes(tmp_path)
    assert "Answers also end at the tokens 504, 511," in note
    assert "besides the eos_token_id 505." in note


def test_unknown_fields_are_listed_and_many_are_cut(tmp_path):
    make_checkpoint(tmp_path, sparse=True)
    write(tmp_path / "config.json", router_scale=2.0)
    (note,) = notes(tmp_path)
    assert "does not know and passes over: 'router_scale'; check" in note
    write(tmp_path / "config.json", **{f"field_{i}": i for i in range(100)})
    (note,) = notes(tmp_path)
    assert note.count("'") == 2 * MOST_NAMES
    assert ", …; check" in note


def test_the_notes_of_the_family_and_of_tied_embeddings_are_among_them(tmp_path):
    make_checkpoint(tmp_path, sparse=True)
    write(tmp_path / "config.json", quantization_config=None, tie_word_embeddings=True)
    blocks, tied = notes(tmp_path)
    assert "weights are stored as mxfp4" in blocks
    assert "tie_word_embeddings" in tied
