"""Which tokens end a generation, by all the files that may name them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models

from ossc.compiler.families.source_model import read_model_config
from ossc.targets.errors import CheckpointError, ConfigError
from synthetic import make_checkpoint

RETURN, END_OF_TEXT, CALL = 505, 504, 511
"""Of the synthetic tokenizer, which speaks harmony."""


def write(file: Path, **fields: Any) -> None:
    old = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(old | fields))


@pytest.fixture
def model(tmp_path):
    """A checkpoint without a tokenizer that names no stop token."""
    return make_checkpoint(tmp_path / "model", sparse=True, generation_config=False)


@pytest.fixture
def plain(model):
    """One with a tokenizer that does not speak harmony; token ``</s>`` is 2."""
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "hello": 1, "</s>": 2}, unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken("<eot>", special=True)])
    tokenizer.save(str(model / "tokenizer.json"))
    return model


@pytest.fixture
def harmony(tmp_path):
    """One with a tokenizer that speaks harmony."""
    path = tmp_path / "harmony"
    return make_checkpoint(path, sparse=True, generation_config=False, tokenizer=True)


def stops(model: Path) -> tuple[int, ...]:
    return read_model_config(model).eos_token_ids


def test_generation_config_comes_first_then_config_then_the_tokenizer(plain):
    assert stops(plain) == ()
    write(plain / "tokenizer_config.json", eos_token="</s>")
    assert stops(plain) == (2,)
    write(plain / "config.json", eos_token_id=7)
    assert stops(plain) == (7,)
    write(plain / "generation_config.json", eos_token_id=[4, 3, 4])
    assert stops(plain) == (4, 3)


@pytest.mark.parametrize("nothing", [None, []], ids=["null", "empty"])
def test_null_and_an_empty_list_say_nothing_in_any_file(plain, nothing):
    write(plain / "tokenizer_config.json", eos_token=None)
    write(plain / "config.json", eos_token_id=nothing)
    write(plain / "generation_config.json", eos_token_id=nothing, do_sample=True)
    assert stops(plain) == ()
    write(plain / "tokenizer_config.json", eos_token="</s>")
    assert stops(plain) == (2,)
    write(plain / "config.json", eos_token_id=7)
    assert stops(plain) == (7,)


@pytest.mark.parametrize(
    ("token", "ids"),
    [
        pytest.param("</s>", (2,), id="of-the-vocabulary"),
        pytest.param("<eot>", (3,), id="added"),
        pytest.param({"content": "</s>", "lstrip": False}, (2,), id="object"),
        pytest.param("<|im_end|>", (), id="unknown"),
    ],
)
def test_the_tokenizer_gives_the_id_of_its_eos_token(plain, token, ids):
    write(plain / "tokenizer_config.json", eos_token=token)
    assert stops(plain) == ids


def test_an_id_beyond_the_vocabulary_of_the_model_is_no_stop(plain):
    write(plain / "tokenizer_config.json", eos_token="<eot>")
    tokenizer = json.loads((plain / "tokenizer.json").read_text())
    tokenizer["added_tokens"][0]["id"] = 512
    tokenizer["model"]["vocab"] |= {f"word{i}": i for i in range(3, 512)}
    (plain / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert stops(plain) == ()


def test_an_eos_token_without_a_tokenizer_has_no_id(model):
    write(model / "tokenizer_config.json", eos_token="</s>")
    assert stops(model) == ()


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        pytest.param(None, (RETURN, END_OF_TEXT, CALL), id="nothing"),
        pytest.param(RETURN, (RETURN, END_OF_TEXT, CALL), id="one"),
        pytest.param([CALL], (CALL, RETURN, END_OF_TEXT), id="another"),
        pytest.param([7, CALL], (7, CALL, RETURN, END_OF_TEXT), id="one-of-its-own"),
        pytest.param([RETURN, END_OF_TEXT, CALL], (RETURN, END_OF_TEXT, CALL), id="all"),
    ],
)
def test_harmony_ends_at_all_its_ends(harmony, given, ids):
    write(harmony / "generation_config.json", eos_token_id=given)
    assert stops(harmony) == ids


def test_a_tokenizer_with_a_part_of_harmony_does_not_speak_it(harmony):
    tokenizer = (harmony / "tokenizer.json").read_text().replace("<|channel|>", "<|chapter|>")
    (harmony / "tokenizer.json").write_text(tokenizer)
    assert stops(harmony) == (RETURN,)


@pytest.mark.parametrize("token", [7, ["</s>"], {"text": "</s>"}], ids=str)
def test_an_eos_token_of_another_type_is_refused(plain, token):
    write(plain / "tokenizer_config.json", eos_token=token)
    with pytest.raises(ConfigError, match=r"tokenizer_config\.json"):
        stops(plain)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]"], ids=str)
def test_a_tokenizer_that_cannot_be_read_is_refused(model, content):
    (model / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a tokenizer that can be read"):
        stops(model)
