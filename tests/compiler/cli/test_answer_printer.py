"""Answers of models that speak harmony, as ``ossc run --chat`` prints them."""

import json

import pytest

ANSWER = [34, 1, 35, 2, 3, 36, 33, 34, 4, 35, 5]


def test_only_the_final_channel_of_a_chat_goes_to_stdout(ossc, text_bundle, answering):
    answering(ANSWER)
    result = ossc("run", text_bundle, "--chat", "-p", "w1")
    assert result.exit_code == 0, result.output
    assert result.stdout == "w5\n"
    assert "[w1] w2 w3" in result.stderr
    assert "w5" not in result.stderr


def test_thinking_can_be_hidden(ossc, text_bundle, answering):
    answering(ANSWER)
    result = ossc("run", text_bundle, "--chat", "-p", "w1", "--thinking", "hide")
    assert (result.exit_code, result.stdout) == (0, "w5\n")
    assert "w2" not in result.stderr


def test_the_json_of_a_chat_tells_channels_apart(ossc, text_bundle, answering):
    answering(ANSWER)
    result = ossc("run", text_bundle, "--chat", "-p", "w1", "--format", "json")
    fields = json.loads(result.stdout)
    assert (fields["text"], fields["thinking"]) == ("w5", "w2 w3")
    assert fields["channels"] == [
        {"channel": "w1", "text": "w2 w3"},
        {"channel": "w4", "text": "w5"},
    ]


def test_two_final_messages_are_lines_of_one_answer(ossc, text_bundle, answering):
    answering([34, 4, 35, 2, 36, 33, 34, 4, 35, 5])
    text = ossc("run", text_bundle, "--chat", "-p", "w1")
    assert text.stdout == "w2\nw5\n"
    fields = json.loads(ossc("run", text_bundle, "--chat", "-p", "w1", "--format", "json").stdout)
    assert fields["text"] == "w2\nw5"


def test_a_chat_may_fill_the_context(ossc, text_bundle, answering):
    answering([])
    ossc("run", text_bundle, "--chat", "-p", "w1")
    assert answering.options.max_new_tokens is None
    ossc("run", text_bundle, "--chat", "-p", "w1", "-n", 5)
    assert answering.options.max_new_tokens == 5
    ossc("run", text_bundle, "-p", "w1")
    assert answering.options.max_new_tokens == 128


@pytest.mark.parametrize(
    ("reason", "sentence", "status"),
    [
        ("stop", None, 0),
        ("length", "It was cut by -n 11; have more", 0),
        ("context", "larger --context", 0),
        ("interrupted", "It was interrupted; this is", 130),
    ],
)
def test_an_answer_that_was_cut_says_so(ossc, text_bundle, answering, reason, sentence, status):
    answering(ANSWER, reason)
    text = ossc("run", text_bundle, "--chat", "-p", "w1")
    data = ossc("run", text_bundle, "--chat", "-p", "w1", "--format", "json")
    assert (text.exit_code, data.exit_code) == (status, status)
    assert json.loads(data.stdout)["finish_reason"] == reason
    assert data.stderr == ""
    *_, last = text.stderr.splitlines()
    assert (sentence or "peak memory") in last
