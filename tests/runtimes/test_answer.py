"""Generated tokens as an answer."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ossc.runtimes.answer import Answer, read_answer
from ossc.runtimes.harmony import Message
from ossc.runtimes.tokenizer import BundleTokenizer

HARMONY = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>")


def byte_tokenizer(*special_tokens):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special_tokens))
    return BundleTokenizer(tokenizer, None)


TOKENIZER = byte_tokenizer(*HARMONY)
PROMPT = TOKENIZER.encode("<|start|>user<|message|>Hi<|end|><|start|>assistant")


def read(text, **options):
    return read_answer(TOKENIZER, TOKENIZER.encode(text), PROMPT, **options)


def test_the_answer_is_the_final_channel_and_the_thinking_that_of_analysis():
    answer = read(
        "<|channel|>analysis<|message|>Hm.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    )
    assert (answer.text, answer.thinking) == ("Yes.", "Hm.")
    assert answer.channels == (
        Message(channel="analysis", text="Hm."),
        Message(channel="final", text="Yes."),
    )


@pytest.mark.parametrize(
    ("text", "expected", "thinking"),
    [
        pytest.param("<|channel|>finalYes", "Yes", None, id="no-message"),
        pytest.param("Well. <|channel|>final<|message|>Yes", "Yes", None, id="words-before"),
        pytest.param("Yes", "Yes", None, id="no-header"),
        pytest.param("<|channel|>analysis<|message|>Hm", "", "Hm", id="cut-while-thinking"),
        pytest.param(
            "<|channel|>commentary to=functions.f<|message|>{}<|call|>", "", None, id="call"
        ),
        pytest.param(
            "<|channel|>final<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
            "a\nb",
            None,
            id="two-finals",
        ),
        pytest.param("", "", None, id="nothing"),
    ],
)
def test_an_odd_answer_is_what_it_says_to_the_user(text, expected, thinking):
    answer = read(text)
    assert (answer.text, answer.thinking) == (expected, thinking)


def test_without_a_chat_or_without_harmony_the_text_is_all_there_is():
    plain = byte_tokenizer("<|end|>")
    ids = plain.encode("final words<|end|>")
    assert read_answer(plain, ids) == Answer(text="final words")
    text = "<|channel|>final<|message|>Yes"
    assert read(text, chat=False) == Answer(text="finalYes")


def test_without_a_tokenizer_there_is_no_text():
    assert read_answer(None, [1, 2]) == Answer(text=None)
