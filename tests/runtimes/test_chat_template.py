"""Chat templates, against transformers' own rendering."""

from datetime import datetime

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

from ossc.runtimes.chat_template import ChatTemplate
from ossc.runtimes.template_limits import TemplateLimits
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


REASONING = (
    "{% for m in messages %}{{ m | tojson }}{{ m.thinking }}|{{ m.reasoning_content }}{% endfor %}"
    "{{ tools is none }}{{ documents is none }}{{ reasoning_effort }}"
)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"reasoning": "why"}, id="reasoning"),
        pytest.param({"reasoning_content": "why"}, id="reasoning_content"),
        pytest.param({"thinking": "why"}, id="thinking"),
        pytest.param({"reasoning": "a", "thinking": "b"}, id="two"),
        pytest.param({"reasoning": "a", "reasoning_content": "c", "thinking": "b"}, id="three"),
        pytest.param({"reasoning": "a", "thinking": None}, id="null"),
        pytest.param({"tool_calls": None, "reasoning": ""}, id="empty"),
    ],
)
def test_reasoning_has_the_names_that_transformers_gives_it(message):
    messages = [{"role": "assistant", "content": "so", **message}]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    expected = tokenizer.apply_chat_template(
        messages, chat_template=REASONING, tokenize=False, reasoning_effort="low"
    )
    template = ChatTemplate(source=REASONING)
    assert template.render(messages, reasoning_effort="low") == expected


def test_arguments_go_before_special_tokens():
    template = ChatTemplate(source="{{ bos_token }}", special_tokens={"bos_token": "<s>"})
    assert template.render(MESSAGES) == "<s>"
    assert template.render(MESSAGES, bos_token="<a>") == "<a>"


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
        pytest.param("{{ 1 / 0 }}", "division by zero", id="division"),
        pytest.param("{{ {}['a']['b'] }}", "cannot render", id="lookup"),
        pytest.param("{{ ''.join(1) }}", "cannot render", id="attribute"),
        pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion", id="macro"),
        pytest.param("{% include 'a' %}", "no loader", id="include"),
        pytest.param("{% for i in '' %}" * 25 + "{% endfor %}" * 25, "nested", id="blocks"),
        pytest.param("{{ " + "(" * 5000 + ")" * 5000 + " }}", "recursion", id="brackets"),
        pytest.param("{{ 9 ** 5000 }}", "bits", id="digits"),
    ],
)
def test_a_faulty_or_hostile_template_is_refused(source, message):
    with pytest.raises(SessionError, match=message):
        ChatTemplate(source=source).render(MESSAGES)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        pytest.param({"source_characters": 10}, "at most 10 are read", id="source"),
        pytest.param({"characters": 100}, "more than 100 characters", id="output"),
        pytest.param({"steps": 3}, "more than 3 steps", id="steps"),
        pytest.param({"seconds": 0.0}, "more than 0 s", id="time"),
    ],
)
def test_a_template_may_not_take_more_than_its_limits(limits, message):
    source = (
        "{% for m in messages %}{{ m.content }}{% for c in m.content %}-{% endfor %}{% endfor %}"
    )
    template = ChatTemplate(source=source, limits=TemplateLimits(**limits))
    with pytest.raises(SessionError, match=f"{message}; give fewer or shorter messages"):
        template.render([{"role": "user", "content": "twelve chars" * 9}])


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        pytest.param(["hello"], "of type str", id="text"),
        pytest.param([{"role": "user", "content": b"a"}], "type bytes", id="bytes"),
        pytest.param([{"role": "user", "content": "\ud800"}], "not valid Unicode", id="surrogate"),
    ],
)
def test_messages_are_json(messages, message):
    with pytest.raises(SessionError, match=message):
        ChatTemplate(source="{{ messages }}").render(messages)


def test_endless_messages_are_refused():
    nested = []
    nested.append(nested)
    with pytest.raises(SessionError, match="nested too deeply"):
        ChatTemplate(source="").render([{"role": "user", "content": nested}])


def test_what_a_template_only_writes_is_told_from_what_it_looks_for():
    template = ChatTemplate(
        source="<a>{{ '<b>' + messages[0].content.split('<c>')[0] }}{{ '<d>' in 'x' }}"
        "{{ 'x' | replace('<e>', '') }}<c><d><e>{% generation %}<f>{% endgeneration %}"
    )
    assert template.written_only({"<a>", "<b>", "<c>", "<d>", "<e>", "<f>", "<g>"}) == {
        "<a>",
        "<b>",
        "<f>",
    }
    assert ChatTemplate(source="{% if %}<a>").written_only({"<a>"}) == set()
