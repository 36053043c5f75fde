"""Chat templates, against transformers' own rendering."""

from datetime import datetime

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from ossc.runtimes.chat_template import ChatTemplate
from ossc.targets.errors import SessionError

MESSAGES = [
    {"role": "system", "content": "Be <b>brief</b> & kind."},
    {"role": "user", "content": "Où est\nl'été? 你好"},
]


def at_noon():
    return datetime(2025, 8, 5, 12, 0)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "{%- for message in messages %}\n    {{- message.role }}: {{ message.content }}\n"
            "  {% if loop.last %}\n last {% endif %}\n{% endfor %}",
            id="whitespace",
        ),
        pytest.param("{{ messages | tojson(indent=2) }}{{ {'b': 1, 'a': 2} | tojson }}", id="json"),
        pytest.param("{{ bos_token }}{% if not tools %}none{% endif %}", id="special-tokens"),
        pytest.param(
            "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}"
            "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
            id="loop-controls",
        ),
        pytest.param("{% generation %}said{% endgeneration %}{{ messages[0].content }}", id="tag"),
        pytest.param(
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
            "{% endfor %}{{ ns.n }} {{ documents is none }}",
            id="namespace",
        ),
    ],
)
def test_templates_render_as_in_transformers(source):
    template = ChatTemplate(source=source, special_tokens={"bos_token": "<s>"})
    (expected,), _ = render_jinja_template(
        conversations=[MESSAGES], chat_template=source, add_generation_prompt=True, bos_token="<s>"
    )
    assert template.render(MESSAGES) == expected


def test_the_date_comes_from_the_given_clock():
    template = ChatTemplate(source="{{ strftime_now('%Y-%m-%d') }}", clock=at_noon)
    assert template.render(MESSAGES) == "2025-08-05"


def test_the_answer_is_begun_only_when_wanted():
    template = ChatTemplate(source="{% if add_generation_prompt %}<assistant>{% endif %}")
    assert template.render(MESSAGES, add_generation_prompt=False) == ""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("{{ raise_exception('roles must alternate') }}", "alternate", id="refusal"),
        pytest.param("{% if %}", "cannot render", id="syntax"),
        pytest.param("{{ messages + 1 }}", "cannot render", id="type"),
        pytest.param("{{ messages.append(1) }}", "unsafe", id="mutation"),
        pytest.param("{{ ''.__class__.__mro__ }}{{ x.y }}", "cannot render", id="escape"),
        pytest.param("{% for i in range(10**9) %}{% endfor %}", "Range too big", id="endless"),
    ],
)
def test_a_faulty_or_hostile_template_is_refused(source, message):
    with pytest.raises(SessionError, match=message):
        ChatTemplate(source=source).render(MESSAGES)
