"""The text files of a bundle or a checkpoint, good and bad."""

import json

import pytest
from tokenizers import Tokenizer, models

from ossc.runtimes.text_files import read_templates, read_tokenizer
from ossc.targets.errors import BundleError, CheckpointError

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 27868174\n"
MESSAGES = [{"role": "user", "content": "hi"}]
NAMED = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"chat_template.jinja": "a"}, {"default": "a"}, id="file"),
        pytest.param({"tokenizer_config.json": {"chat_template": "a"}}, {"default": "a"}, id="cfg"),
        pytest.param(
            {"tokenizer_config.json": {"chat_template": NAMED}},
            {"default": "d", "tool_use": "t"},
            id="several",
        ),
        pytest.param(
            {"tokenizer_config.json": {"chat_template": NAMED[0]}}, {"tool_use": "t"}, id="one"
        ),
        pytest.param({"tokenizer_config.json": {"chat_template": None}}, {}, id="null"),
        pytest.param(
            {"chat_template.jinja": "a", "tokenizer_config.json": {"chat_template": "b"}},
            {"default": "a"},
            id="file-before-config",
        ),
        pytest.param(
            {"chat_template.jinja": "a", "additional_chat_templates/tool_use.jinja": "t"},
            {"default": "a", "tool_use": "t"},
            id="additional",
        ),
        pytest.param(
            {"chat_template.jinja": "a", "chat_template.tool_use.jinja": "t"},
            {"default": "a", "tool_use": "t"},
            id="bundle",
        ),
        pytest.param({"chat_template.json": {"chat_template": "p"}}, {"default": "p"}, id="proc"),
        pytest.param(
            {
                "chat_template.json": {"chat_template": "p"},
                "tokenizer_config.json": {"chat_template": "b"},
            },
            {"default": "b"},
            id="config-before-processor",
        ),
        pytest.param({"chat_template.jinja": "a\r\nb"}, {"default": "a\nb"}, id="line-ends"),
    ],
)
def test_templates_are_found(tmp_path, files, expected):
    write(tmp_path, files)
    templates = read_templates(tmp_path, BundleError)
    assert {name: template.source for name, template in templates.items()} == expected


def test_a_template_refers_to_special_tokens(tmp_path):
    tokens = {
        "bos_token": "<s>",
        "eos_token": {"content": "</s>", "special": True},
        "pad_token": None,
        "add_bos_token": True,
    }
    template = "{{ bos_token }}{{ eos_token }}{{ pad_token }}"
    write(tmp_path, {"chat_template.jinja": template, "tokenizer_config.json": tokens})
    assert read_templates(tmp_path, BundleError)["default"].render(MESSAGES) == "<s></s>"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("tokenizer_config.json", b"{", "not valid JSON", id="json"),
        pytest.param("tokenizer_config.json", b"[]", "not a JSON object", id="list"),
        pytest.param("tokenizer_config.json", b"\xff{}", "not UTF-8", id="config-bytes"),
        pytest.param("tokenizer_config.json", b'{"a":' * 9999, "nested too deeply", id="deep"),
        pytest.param("tokenizer_config.json", POINTER, "run git lfs pull", id="config-pointer"),
        pytest.param(
            "tokenizer_config.json", {"chat_template": 5}, "has to be a text, or a list", id="kind"
        ),
        pytest.param(
            "tokenizer_config.json", {"chat_template": ["a"]}, "has to be a text", id="texts"
        ),
        pytest.param(
            "tokenizer_config.json", {"chat_template": [{"name": 1}]}, "has to be", id="unnamed"
        ),
        pytest.param("chat_template.jinja", b"caf\xe9", r"not UTF-8 \(at byte 3\)", id="bytes"),
        pytest.param("chat_template.jinja", POINTER, "run git lfs pull", id="pointer"),
        pytest.param("chat_template.json", b"[1]", "not a JSON object", id="processor"),
        pytest.param("chat_template.jinja", b"a" * (2**24 + 1), "is larger than", id="large"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, message):
    write(tmp_path, {name: content})
    with pytest.raises(CheckpointError, match=f"{name}.*{message}"):
        read_templates(tmp_path, CheckpointError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"{}", "is not a tokenizer that can be read", id="empty"),
        pytest.param(b"\xff", "is not a tokenizer that can be read", id="bytes"),
        pytest.param(POINTER, "is a Git LFS pointer .* run git lfs pull", id="pointer"),
    ],
)
def test_a_damaged_tokenizer_is_named(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=rf"tokenizer\.json {message}"):
        read_tokenizer(path, BundleError)


def test_a_tokenizer_neither_cuts_nor_fills_up(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[PAD]": 1}, "a"))
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    read = read_tokenizer(tmp_path / "tokenizer.json", BundleError)
    assert read.truncation is None
    assert read.encode("a").ids == [0]
