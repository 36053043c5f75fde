"""Rendering templates once, as a program of its own."""

import pytest

from ossc.runtimes.chat_template import ChatTemplate
from ossc.runtimes.try_templates import fault


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("{{ messages[0].content }}", None, id="good"),
        pytest.param("{{ raise_exception('no') }}", None, id="refuses"),
        pytest.param("{{ messages[0].content[0]['text'].upper() }}", None, id="parts"),
        pytest.param("{{ messages[0].content.upper() }}", None, id="text"),
        pytest.param("{{ 1 / 0 }}", "division by zero", id="fault"),
        pytest.param(
            "{{ '-' * 10 ** 9 }}",
            "it makes a text or a list of more than 4194304 characters",
            id="limit",
        ),
    ],
)
def test_a_fault_is_what_no_message_mends(source, expected):
    assert fault(ChatTemplate(source=source)) == expected
