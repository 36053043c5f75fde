"""Messages of an answer, by channel, as its tokens come."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ossc.runtimes.harmony import HarmonyStream, speaks_harmony
from ossc.runtimes.tokenizer import BundleTokenizer

TOKENS = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|constrain|>"]


def byte_tokenizer(special_tokens):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special_tokens)
    return BundleTokenizer(tokenizer, None)


TOKENIZER = byte_tokenizer(TOKENS)


def messages(text):
    """Channel and text of each message that was begun."""
    stream, found = HarmonyStream(TOKENIZER), []
    pieces = [piece for token_id in TOKENIZER.encode(text) for piece in stream.push(token_id)]
    for piece in [*pieces, *stream.finish()]:
        if piece.begins:
            found.append([piece.channel, ""])
        assert found[-1][0] == piece.channel
        found[-1][1] += piece.text
    return [tuple(message) for message in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "<|channel|>analysis<|message|>Hm.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Yes…<|return|>",
            [("analysis", "Hm."), ("final", "Yes…")],
            id="thought-and-answer",
        ),
        pytest.param("just text", [("final", "just text")], id="no-header"),
        pytest.param("<|start|>assistant<|message|>a", [("final", "a")], id="no-channel"),
        pytest.param(
            "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|end|>",
            [("commentary", "{}")],
            id="recipient",
        ),
        pytest.param("<|channel|><|message|>a", [("final", "a")], id="empty-header"),
        pytest.param("<|channel|>analysis<|message|><|end|>", [], id="empty-message"),
        pytest.param("<|channel|>analysis", [], id="cut-in-the-header"),
        pytest.param(
            "<|channel|>final<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
            [("final", "a"), ("final", "b")],
            id="two-on-one-channel",
        ),
    ],
)
def test_messages_are_told_apart(text, expected):
    assert messages(text) == expected


def test_a_character_of_several_tokens_comes_whole():
    stream = HarmonyStream(TOKENIZER)
    pieces = [piece for token in TOKENIZER.encode("é你") for piece in stream.push(token)]
    assert [piece.text for piece in pieces] == ["é", "你"]


def test_half_a_character_at_the_end_is_not_lost():
    stream = HarmonyStream(TOKENIZER)
    assert list(stream.push(TOKENIZER.encode("é")[0])) == []
    (piece,) = stream.finish()
    assert piece.text == "\N{REPLACEMENT CHARACTER}"


def test_only_a_tokenizer_with_channels_speaks_harmony():
    assert speaks_harmony(TOKENIZER)
    assert not speaks_harmony(byte_tokenizer(["<|message|>", "<|end|>"]))
