"""A checkpoint's text files are read when it is compiled."""

from pathlib import Path

import pytest

from ossc.compiler.estimate import estimate
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.compiler.text.text_files import check_text_files
from ossc.targets.errors import CheckpointError

SAMPLE = Path(__file__).parents[2] / "sample_model" / "checkpoint"


@pytest.fixture
def checkpoint(tmp_path):
    """The sample model, whose files a test may replace."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for path in SAMPLE.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def replace(checkpoint, name, content):
    (checkpoint / name).unlink(missing_ok=True)
    (checkpoint / name).write_bytes(content)


def test_good_files_pass(checkpoint):
    check_text_files(checkpoint)


def test_a_checkpoint_without_any_passes(tmp_path):
    check_text_files(tmp_path)


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(b"{{ raise_exception('a system message is needed') }}", id="refuses"),
        pytest.param(b"{{ messages[0].content[0]['text'].upper() }}", id="parts"),
    ],
)
def test_a_template_may_want_other_messages(checkpoint, template):
    replace(checkpoint, "chat_template.jinja", template)
    check_text_files(checkpoint)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param(b"{% if %}", r"\(Expected an expression", id="syntax"),
        pytest.param(b"{{ 1 / 0 }}", r"\(division by zero\)", id="division"),
        pytest.param(b"{{ '-' * 10 ** 9 }}", "more than 4194304 characters", id="size"),
        pytest.param(b"{# #}" * 30_000, "at most 131072 are read", id="source"),
    ],
)
def test_a_bad_template_is_refused(checkpoint, template, message):
    replace(checkpoint, "chat_template.jinja", template)
    with pytest.raises(CheckpointError, match=f"cannot be used .*{message}.*; mend it"):
        check_text_files(checkpoint)


def test_a_template_that_takes_too_long_is_ended(checkpoint):
    with pytest.raises(CheckpointError, match="takes more than 0 s for one message"):
        check_text_files(checkpoint, timeout_s=0.0)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"])
def test_a_pointer_is_answered_with_the_command_that_helps(checkpoint, name):
    replace(checkpoint, name, b"version https://git-lfs.github.com/spec/v1\nsize 1\n")
    with pytest.raises(CheckpointError, match=f"{name} is a Git LFS pointer .*git lfs pull"):
        check_text_files(checkpoint)


@pytest.mark.parametrize("work", [compile_model, estimate])
def test_they_are_read_before_the_work(checkpoint, tmp_path, work):
    replace(checkpoint, "tokenizer_config.json", b"\xff")
    recipe = Recipe(model=checkpoint, target="cpu:x86-64-v3", out=tmp_path / "bundle")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json is not UTF-8"):
        work(recipe)
    assert not (tmp_path / "bundle").exists()
