"""The JSON of ``ossc run``."""

import dataclasses
import json

import pytest

from ossc.runtimes.answer import Answer
from ossc.runtimes.harmony import Message
from ossc.runtimes.run_report import RunReport
from ossc.targets.errors import SessionError

REPORT = RunReport(
    token_ids=(1, 2),
    finish_reason="length",
    prefill_tokens=3,
    prefill_tokens_per_s=4.5,
    decode_tokens=1,
    decode_tokens_per_s=6.5,
    load_s=0.5,
    peak_rss_bytes=7,
    peak_anonymous_bytes=8,
)
NO_TEXT = Answer(text=None)


def test_the_json_has_the_fields_of_the_contract():
    assert json.loads(REPORT.to_json(Answer(text="é"))) == {
        "token_ids": [1, 2],
        "text": "é",
        "thinking": None,
        "channels": None,
        "finish_reason": "length",
        "prefill_tokens": 3,
        "prefill_tokens_per_s": 4.5,
        "decode_tokens": 1,
        "decode_tokens_per_s": 6.5,
        "load_s": 0.5,
        "peak_rss_bytes": 7,
        "peak_anonymous_bytes": 8,
    }


def test_the_json_has_every_message_in_order():
    messages = (
        Message(channel="analysis", text="Hm."),
        Message(channel="commentary", text="{}", recipient="functions.f"),
        Message(channel=None, text="aside"),
    )
    answer = Answer(text="", thinking="Hm.", channels=messages)
    fields = json.loads(REPORT.to_json(answer))
    assert (fields["text"], fields["thinking"]) == ("", "Hm.")
    assert fields["channels"] == [
        {"channel": "analysis", "text": "Hm."},
        {"channel": "commentary", "text": "{}", "recipient": "functions.f"},
        {"channel": None, "text": "aside"},
    ]


def test_an_emulated_run_says_so():
    emulated = RunReport.from_json(REPORT.to_json(NO_TEXT), "qemu-aarch64")
    assert json.loads(emulated.to_json(NO_TEXT))["emulator"] == "qemu-aarch64"
    assert (emulated.token_ids, emulated.load_s) == (REPORT.token_ids, REPORT.load_s)


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("stop", None),
        ("length", "It was cut by -n 2; have more with a larger one."),
        (
            "context",
            "It was cut because the context of 4 tokens is full; give a shorter prompt, "
            "or compile the model with a larger --context.",
        ),
        ("interrupted", "It was interrupted; this is what came until then."),
    ],
)
def test_a_cut_says_what_helps(reason, sentence):
    assert dataclasses.replace(REPORT, finish_reason=reason).cut == sentence


WITHOUT_REASON = {"text": None, "thinking": None, "channels": None, "token_ids": [1]}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        json.dumps({**WITHOUT_REASON, "x": 1}),
        json.dumps(WITHOUT_REASON),
        REPORT.to_json(NO_TEXT).replace("length", "boredom"),
    ],
)
def test_another_line_is_refused(line):
    with pytest.raises(SessionError, match="not its report"):
        RunReport.from_json(line)
