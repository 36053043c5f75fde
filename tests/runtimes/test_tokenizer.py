"""Tokens and text, with a byte-level tokenizer small enough to split characters."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from ossc.runtimes.chat_template import ChatTemplate
from ossc.runtimes.tokenizer import BundleTokenizer
from ossc.targets.errors import BundleError, SessionError

TEXT = "naïve — 你好 👩‍👩‍👧 done"
MESSAGES = [{"role": "user", "content": "hi"}]


def byte_level_tokenizer():
    """Every byte is a token, so a character is up to four."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: i for i, character in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    return tokenizer


def metaspace_tokenizer():
    """A token's leading space is dropped at the start of a text."""
    vocabulary = {"<unk>": 0, "▁a": 1, "b": 2, "▁c": 3}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


TOKENIZER = BundleTokenizer(byte_level_tokenizer(), None)
END = byte_level_tokenizer().token_to_id("<|end|>")


@pytest.fixture
def bundle(tmp_path):
    byte_level_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_text_survives_its_tokens():
    assert TOKENIZER.decode(TOKENIZER.encode(TEXT)) == TEXT
    assert TOKENIZER.encode("ab<|end|>")[-1] == END


def test_special_tokens_are_not_text():
    assert TOKENIZER.decode([*TOKENIZER.encode("a"), END, 10**6]) == "a"


def test_a_stream_gives_whole_characters():
    stream = TOKENIZER.stream()
    pieces = [stream.push(token_id) for token_id in TOKENIZER.encode(TEXT)]
    assert "".join(pieces) == TEXT
    assert stream.finish() == ""
    assert [piece for piece in pieces if piece] == list(TEXT)


def test_a_character_that_never_ends_comes_at_the_end():
    stream = TOKENIZER.stream()
    assert [stream.push(token_id) for token_id in TOKENIZER.encode("a你")[:-1]] == ["a", "", ""]
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"
    assert stream.finish() == ""


@given(st.lists(st.integers(0, END), max_size=30))
def test_a_stream_gives_the_text_of_all_its_tokens(token_ids):
    stream = TOKENIZER.stream()
    pieces = [stream.push(token_id) for token_id in token_ids]
    assert "".join([*pieces, stream.finish()]) == TOKENIZER.decode(token_ids)


def test_a_stream_keeps_spaces_that_only_the_first_token_drops():
    tokenizer = BundleTokenizer(metaspace_tokenizer(), None)
    stream = tokenizer.stream()
    assert [stream.push(token_id) for token_id in [1, 2, 3, 1]] == ["a", "b", " c", " a"]


def test_a_bundle_without_a_tokenizer_says_what_to_do(tmp_path):
    with pytest.raises(BundleError, match=r"has no tokenizer\.json.*--token-ids"):
        BundleTokenizer.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("tokenizer.json", "{}", id="tokenizer"),
        pytest.param("tokenizer_config.json", "{", id="config"),
        pytest.param("tokenizer_config.json", "[]", id="list"),
    ],
)
def test_a_damaged_file_is_named(bundle, name, content):
    (bundle / name).write_text(content)
    with pytest.raises(BundleError, match=name):
        BundleTokenizer.open(bundle)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"chat_template.jinja": "file"}, "file", id="file"),
        pytest.param({"tokenizer_config.json": {"chat_template": "text"}}, "text", id="config"),
        pytest.param(
            {
                "tokenizer_config.json": {
                    "chat_template": [
                        {"name": "tool_use", "template": "t"},
                        {"name": "default", "template": "d"},
                    ]
                }
            },
            "d",
            id="several",
        ),
        pytest.param(
            {"chat_template.jinja": "file", "tokenizer_config.json": {"chat_template": "text"}},
            "file",
            id="file-before-config",
        ),
        pytest.param(
            {
                "chat_template.jinja": "{{ bos_token }}{{ eos_token }}{{ pad_token }}",
                "tokenizer_config.json": {
                    "bos_token": "<s>",
                    "eos_token": {"content": "</s>", "special": True},
                    "pad_token": None,
                    "add_bos_token": True,
                },
            },
            "<s></s>",
            id="special-tokens",
        ),
    ],
)
def test_the_chat_template_is_found(bundle, files, expected):
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (bundle / name).write_text(text)
    tokenizer = BundleTokenizer.open(bundle)
    assert tokenizer.decode(tokenizer.encode_chat(MESSAGES)) == expected


def test_a_chat_becomes_tokens_with_its_special_tokens(bundle):
    template = "{{ messages[0].content }}<|end|>{{ strftime_now('%d') }}"
    (bundle / "chat_template.jinja").write_text(template)
    tokenizer = BundleTokenizer.open(bundle, clock=lambda: datetime(2025, 1, 2))
    assert tokenizer.encode_chat(MESSAGES) == tokenizer.encode("hi<|end|>02")


def test_a_chat_gets_no_special_tokens_but_its_template_s():
    inner = byte_level_tokenizer()
    inner.post_processor = processors.TemplateProcessing(
        single="<|end|> $A", special_tokens=[("<|end|>", END)]
    )
    tokenizer = BundleTokenizer(inner, ChatTemplate(source="{{ messages[0].content }}"))
    assert tokenizer.encode("hi")[0] == END
    assert tokenizer.encode_chat(MESSAGES) == tokenizer.encode("hi")[1:]


def test_a_chat_needs_a_template(bundle):
    with pytest.raises(SessionError, match="without --chat"):
        BundleTokenizer.open(bundle).encode_chat(MESSAGES)
