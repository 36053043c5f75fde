"""Conversations as JSON."""

import json

import pytest

from ossc.runtimes.chat_messages import parse_messages
from ossc.targets.errors import UsageError


def test_what_a_message_has_beside_role_and_content_is_kept():
    messages = [
        {"role": "user", "content": "é"},
        {"role": "assistant", "content": "", "thinking": "Hm."},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "assistant", "tool_calls": [{"name": "f"}]},
    ]
    assert parse_messages(json.dumps(messages).encode(), "file") == messages


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "file is not valid JSON"),
        (b"[" * 100_000, "file is not valid JSON: it is nested too deeply"),
        (b"\xff", "file is not valid JSON"),
        (b'[{"role": "user", "content": "\\ud800"}]', "file is not valid JSON"),
        (b"{}", "file has to hold a JSON list with a message"),
        (b"[]", "file has to hold a JSON list with a message"),
        (b'["hi"]', "Message 0 of file is 'hi'; give an object"),
        (b'[{"content": "hi"}]', "Message 0 of file has None for its role"),
        (b'[{"role": "user"}]', "Message 0 of file has None for its content; give a text"),
        (b'[{"role": "user", "content": ["hi"]}]', "has .'hi'. for its content; give a text"),
        (b'[{"role": "u", "role": "user", "content": "hi"}]', "'role' is there more than once"),
    ],
)
def test_other_data_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        parse_messages(text, "file")
