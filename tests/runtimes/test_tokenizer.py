"""Tokens and text, with a byte-level tokenizer small enough to split characters."""

from datetime import datetime

import pytest
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


@pytest.mark.parametrize("text", ["a\ud800", "\udcff"])
def test_a_text_that_is_no_unicode_is_refused(text):
    with pytest.raises(SessionError, match="not valid Unicode"):
        TOKENIZER.encode(text)


def test_a_bundle_without_a_tokenizer_says_what_to_do(tmp_path):
    with pytest.raises(BundleError, match=r"has no tokenizer\.json.*--token-ids"):
        BundleTokenizer.open(tmp_path)


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


def test_a_chat_with_tools_gets_the_template_for_them(bundle):
    (bundle / "chat_template.jinja").write_text("plain {{ style }}")
    (bundle / "chat_template.tool_use.jinja").write_text("{{ tools[0].name }}")
    tokenizer = BundleTokenizer.open(bundle)
    assert tokenizer.decode(tokenizer.encode_chat(MESSAGES, style="a")) == "plain a"
    assert tokenizer.decode(tokenizer.encode_chat(MESSAGES, tools=[{"name": "find"}])) == "find"


def test_a_chat_with_tools_makes_do_with_the_only_template():
    tokenizer = BundleTokenizer(byte_level_tokenizer(), ChatTemplate(source="{{ tools | length }}"))
    assert tokenizer.decode(tokenizer.encode_chat(MESSAGES, tools=[{}, {}])) == "2"


def test_a_chat_needs_a_template(bundle):
    with pytest.raises(SessionError, match="without --chat"):
        BundleTokenizer.open(bundle).encode_chat(MESSAGES)
