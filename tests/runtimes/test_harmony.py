"""Messages of an answer, by channel, as its tokens come."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ossc.runtimes.harmony import HarmonyStream, Message, parse_harmony, speaks_harmony
from ossc.runtimes.tokenizer import BundleTokenizer

TOKENS = [
    *("<|start|>", "<|channel|>", "<|message|>"),
    *("<|end|>", "<|return|>", "<|call|>", "<|constrain|>"),
]
BODY = "<|channel|>final<|message|>"


def byte_tokenizer(special_tokens):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special_tokens)
    return BundleTokenizer(tokenizer, None)


TOKENIZER = byte_tokenizer(TOKENS)


PROMPT = "<|start|>user<|message|>Hi<|end|><|start|>assistant"


def messages(text, prompt=PROMPT):
    """Channel and text of each message, of which the stream and the parser say the same."""
    token_ids, prompt_ids = TOKENIZER.encode(text), TOKENIZER.encode(prompt)
    stream, found = HarmonyStream(TOKENIZER, prompt_ids), []
    pieces = [piece for token_id in token_ids for piece in stream.push(token_id)]
    for piece in [*pieces, *stream.finish()]:
        if piece.begins:
            found.append([piece.channel, ""])
        assert found[-1][0] == piece.channel
        found[-1][1] += piece.text
    parsed = parse_harmony(TOKENIZER, token_ids, prompt_ids)
    assert [(message.channel, message.text) for message in parsed] == [*map(tuple, found)]
    return [tuple(message) for message in found]


CASES = [
    pytest.param(
        "<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes…<|return|>",
        [("analysis", "Hm."), ("final", "Yes…")],
        id="thought-and-answer",
    ),
    pytest.param("just text", [("final", "just text")], id="no-header"),
    pytest.param("user friendly", [("final", "user friendly")], id="no-header-but-a-role"),
    pytest.param("one<|return|>two", [("final", "onetwo")], id="no-header-but-an-end"),
    pytest.param("<|message|>a", [("final", "a")], id="no-channel"),
    pytest.param("<|start|>assistant<|message|>a", [("final", "a")], id="no-channel-again"),
    pytest.param("<|start|>assistantHi<|return|>", [("final", "Hi")], id="no-message-no-channel"),
    pytest.param(
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistantYes",
        [("analysis", "Hm."), ("final", "Yes")],
        id="answer-without-channel",
    ),
    pytest.param(
        "Sure. <|channel|>final<|message|>Yes", [(None, "Sure. "), ("final", "Yes")], id="preface"
    ),
    pytest.param(
        "Sure.<|message|>Yes", [(None, "Sure."), ("final", "Yes")], id="preface-without-channel"
    ),
    pytest.param(
        "<|channel|>final<|message|>Yes<|end|>No", [("final", "Yes"), (None, "No")], id="afterword"
    ),
    pytest.param("<|channel|>final", [], id="cut-before-the-message"),
    pytest.param("<|channel|>anal", [], id="cut-in-the-channel"),
    pytest.param("<|channel|>analysis", [], id="cut-in-a-header-of-thoughts"),
    pytest.param("<|channel|>finaldef f()", [("final", "def f()")], id="final-without-message"),
    pytest.param("<|channel|>final a<|end|>", [("final", " a")], id="final-without-message-ended"),
    pytest.param(
        "<|channel|>analysisHm.<|channel|>final<|message|>Yes",
        [("analysis", "Hm."), ("final", "Yes")],
        id="thought-without-message",
    ),
    pytest.param("<|channel|>Hello there", [("final", "Hello there")], id="channel-without-name"),
    pytest.param(
        "<|channel|>notes<|message|>a", [("notes", "a")], id="a-channel-that-harmony-lacks"
    ),
    pytest.param(
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        [("commentary", "{}")],
        id="call",
    ),
    pytest.param("<|channel|><|message|>a", [("final", "a")], id="empty-header"),
    pytest.param("<|channel|>analysis<|message|><|end|>", [], id="empty-message"),
    pytest.param(
        "<|channel|>analysis<|message|>a<|message|>b", [("analysis", "ab")], id="message-again"
    ),
    pytest.param(
        "<|channel|>final<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
        [("final", "a"), ("final", "b")],
        id="two-on-one-channel",
    ),
    pytest.param("", [], id="nothing"),
]


@pytest.mark.parametrize("prompt", [PROMPT, ""])
@pytest.mark.parametrize(("text", "expected"), CASES)
def test_messages_are_told_apart(text, expected, prompt):
    assert messages(text, prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        pytest.param("Q: hi A:", "Hello", [("final", "Hello")], id="no-harmony"),
        pytest.param(PROMPT + "<|channel|>final<|message|>", "Yes", [("final", "Yes")], id="body"),
        pytest.param(PROMPT + "<|channel|>", "final<|message|>a", [("final", "a")], id="channel"),
        pytest.param(
            PROMPT + "<|channel|>analysis<|message|>So",
            " be it<|end|><|start|>assistant<|channel|>final<|message|>Yes",
            [("analysis", " be it"), ("final", "Yes")],
            id="begun-thought",
        ),
    ],
)
def test_an_answer_begins_where_its_prompt_leaves_off(prompt, text, expected):
    assert messages(text, prompt) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
        " to=functions.f<|channel|>commentary<|message|>{}<|call|>",
    ],
)
def test_a_call_says_whom_it_is_for(text):
    (message,) = parse_harmony(TOKENIZER, TOKENIZER.encode(text))
    assert message == Message(channel="commentary", text="{}", recipient="functions.f")


def test_a_call_without_arguments_is_a_message():
    text = "<|channel|>commentary to=functions.f<|message|><|call|>"
    (message,) = parse_harmony(TOKENIZER, TOKENIZER.encode(text))
    assert message == Message(channel="commentary", text="", recipient="functions.f")


def test_a_character_of_several_tokens_comes_whole():
    stream = HarmonyStream(TOKENIZER)
    pieces = [piece for token in TOKENIZER.encode(BODY + "é你") for piece in stream.push(token)]
    assert [piece.text for piece in pieces] == ["é", "你"]


def test_half_a_character_at_the_end_is_not_lost():
    stream = HarmonyStream(TOKENIZER)
    for token_id in TOKENIZER.encode(BODY + "é")[:-1]:
        assert list(stream.push(token_id)) == []
    (piece,) = stream.finish()
    assert piece.text == "\N{REPLACEMENT CHARACTER}"


def test_only_a_tokenizer_with_channels_speaks_harmony():
    assert speaks_harmony(TOKENIZER)
    assert not speaks_harmony(byte_tokenizer(["<|message|>", "<|end|>"]))
