"""Jinja as transformers sets it up, against transformers itself; and bounded."""

from datetime import datetime

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from ossc.runtimes.template_environment import TemplateEnvironment, TemplateRefusalError
from ossc.runtimes.template_limits import Budget, TemplateLimitError, TemplateLimits

MESSAGES = [
    {"role": "system", "content": "Be <b>brief</b> & kind."},
    {"role": "user", "content": "Où est\nl'été? 你好", "parts": [1, [2, [3]]]},
]
LIMITS = TemplateLimits(characters=2000, steps=2000)


def render(source, limits=LIMITS, **variables):
    budget = Budget(limits=limits, source_characters=len(source))
    environment = TemplateEnvironment(budget, datetime.now)
    return environment.from_string(source).render(messages=MESSAGES, **variables)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}",
            id="generation-set",
        ),
        pytest.param(
            "{% for m in messages %}{% generation %}{{ m.role }}{{ loop.index }}"
            "{% set m = 1 %}{% endgeneration %}{{ m.role }}{% endfor %}",
            id="generation-in-loop",
        ),
        pytest.param(
            "{% set ns = namespace(n=1) %}{% generation %}{% set ns.n = 2 %}{% endgeneration %}"
            "{{ ns.n }}",
            id="generation-namespace",
        ),
        pytest.param(
            "{% generation %}{% for m in messages %}{% if loop.last %}{% break %}{% endif %}"
            "{{ m.role }}{% endfor %}{% endgeneration %}",
            id="generation-around-loop",
        ),
        pytest.param(
            "{% for m in messages if m.role == 'user' %}{{ loop.length }}{{ loop.revindex }}"
            "{{ loop.first }}{{ loop.nextitem is defined }}{% else %}none{% endfor %}",
            id="loop-variables",
        ),
        pytest.param(
            "{% for x in messages[1].parts recursive %}[{{ loop.depth }}"
            "{% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}{% endif %}]{% endfor %}",
            id="recursive-loop",
        ),
        pytest.param(
            "{% macro say(m, mark='*') %}{{ mark ~ m.role ~ caller() ~ 1 ~ none }}{% endmacro %}"
            "{% for m in messages %}{% call say(m) %}!{% endcall %}{% endfor %}",
            id="macro",
        ),
        pytest.param("{% for k, v in messages[0] | items %}{{ k }}={{ v }};{% endfor %}", id="for"),
        pytest.param("{% for c in 'ab' %}{{ c }}{% endfor %}{% for c in no %}{% endfor %}", id="x"),
        pytest.param("{{ [1, 'a', (2, 3)] }}{{ {'a': [1]} }}{{ (1,) }}{{ [] ~ {} }}", id="lists"),
        pytest.param(
            "{{ 1 < 2 < 3 }}{{ 'a' in 'ab' }}{{ 'role' in messages[0] }}{{ no == none }}"
            "{{ messages[0] == messages[1] }}{{ 1 is in [1] }}{{ ['a', 'c'] | select('in', 'ab') | "
            "list }}{{ 2 not in (1, 2) }}",
            id="comparisons",
        ),
        pytest.param("{{ 7 * 6 }}{{ 2 ** 5 }}{{ '%s-%d' % ('a', 1) }}{{ 'ab' * 2 }}", id="numbers"),
        pytest.param("{{ 'a' | upper | center(7) | indent(2, true) }}{{ 'x' | e }}", id="filters"),
        pytest.param("{% filter upper %}a{{ 1 }}{% endfilter %}", id="filter-block"),
        pytest.param("{% set x %}a{{ 1 }}{% endset %}{{ x | length }}{{ x }}", id="set-block"),
        pytest.param(
            "{{ messages | map(attribute='role') | join(', ') }}"
            "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
            "{{ messages | groupby('role') | length }}{{ range(3) | map('string') | list }}"
            "{{ ', '.join(messages | map(attribute='role')) }}{{ range(4) | select | sum }}",
            id="lazy-filters",
        ),
        pytest.param("{{ '{} {x:>5}'.format(1, x='b') }}{{ 'a,b'.split(',')[1:] }}", id="methods"),
        pytest.param(
            "{{ messages | tojson }}{{ messages | tojson(indent=2) }}"
            "{{ messages | tojson(ensure_ascii=true, separators=(',', ':'), sort_keys=true) }}",
            id="json",
        ),
        pytest.param("{% autoescape true %}{{ '<' }}{{ '<' ~ 1 }}{% endautoescape %}", id="escape"),
        pytest.param("{{ dict(a=1) }}{{ cycler(1, 2).next() }}{{ joiner(',')() }}", id="globals"),
        pytest.param("{% with a = 1 %}{{ a }}{% endwith %}{{ a is defined }}{{ no }}", id="with"),
    ],
)
def test_templates_render_as_in_transformers(source):
    (expected,), _ = render_jinja_template(conversations=[MESSAGES], chat_template=source)
    assert render(source, TemplateLimits()) == expected


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{% for i in range(60) %}{% for j in range(60) %}{% endfor %}{% endfor %}",
                     id="loops"),
        pytest.param("{% for i in range(3000) %}{% endfor %}", id="loop"),
        pytest.param("{% macro m(n) %}{% if n %}{{ m(n - 1) ~ m(n - 1) }}{% endif %}{% endmacro %}"
                     "{{ m(15) }}", id="macros"),
        pytest.param("{% for i in [12] recursive %}{% if i %}{{ loop([i-1, i-1]) }}{% endif %}"
                     "{% endfor %}", id="recursion"),
        pytest.param("{{ 'a' * 3000 }}", id="product"),
        pytest.param("{% set ns = namespace(t='ab') %}{% for i in range(20) %}"
                     "{% set ns.t = ns.t + ns.t %}{% endfor %}", id="sum"),
        pytest.param("{% set ns = namespace(t='ab') %}{% for i in range(20) %}"
                     "{% set ns.t = ns.t ~ ns.t %}{% endfor %}", id="concatenation"),
        pytest.param("{% set ns = namespace(t=[1]) %}{% for i in range(20) %}"
                     "{% set ns.t = [ns.t, ns.t] %}{% endfor %}", id="lists"),
        pytest.param("{% set ns = namespace(t={}) %}{% for i in range(20) %}"
                     "{% set ns.t = {'a': ns.t, 'b': ns.t} %}{% endfor %}", id="objects"),
        pytest.param("{% set ns = namespace(t=1) %}{% for i in range(20) %}"
                     "{% set ns.t = (ns.t, ns.t) %}{% endfor %}", id="tuples"),
        pytest.param("{% set ns = namespace(t=1) %}{% for i in range(20) %}"
                     "{% set ns.t = dict(a=ns.t, b=ns.t) %}{% endfor %}", id="calls"),
        pytest.param("{% for i in range(300) %}{{ 'abcdefghij' }}{% endfor %}", id="output"),
        pytest.param("{% for i in range(300) %}abcdefghij{% endfor %}", id="text"),
        pytest.param("{% set x %}{% for i in range(300) %}abcdefghij{% endfor %}{% endset %}",
                     id="block"),
        pytest.param("{% set t = 'ab' * 900 %}{% for i in range(1900) %}{{ t[:1] }}{{ t[1:][:0] }}"
                     "{% endfor %}", id="slices"),
        pytest.param("{% set t = 'ab' * 900 %}{% for i in range(1900) %}{{ 'c' in t }}{% endfor %}",
                     id="searches"),
        pytest.param("{{ 'a' | indent(3000, true) }}", id="indent"),
        pytest.param("{{ ['a'] | map('center', 3000) | list }}", id="mapped-filter"),
        pytest.param("{% filter center(3000) %}a{% endfilter %}", id="filter-block"),
        pytest.param("{{ 'a'.ljust(3000) }}", id="method"),
        pytest.param("{{ '{:3000}'.format(1) }}", id="format"),
        pytest.param("{{ ('{:3000}' | attr('format'))(1) }}", id="format-attribute"),
        pytest.param("{{ '%3000d' % 1 }}", id="printf"),
        pytest.param("{{ '%3000d' | format(1) }}", id="printf-filter"),
        pytest.param("{{ 2 ** 9999 }}", id="power"),
        pytest.param("{{ messages | tojson(indent=3000) }}", id="json-indent"),
        pytest.param("{{ range(900) | list | tojson }}", id="json"),
        pytest.param("{{ range(100) | list | tojson(indent=40) }}", id="json-lines"),
    ],
)  # fmt: skip
def test_what_takes_too_much_is_stopped(source):
    with pytest.raises(TemplateLimitError):
        render(source)


def test_there_is_no_filler_text():
    with pytest.raises(Exception, match="'lipsum' is undefined"):
        render("{{ lipsum(1) }}")


def test_a_template_s_own_refusal_is_told_from_a_fault():
    with pytest.raises(TemplateRefusalError, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


def test_constants_are_not_computed_while_compiling():
    budget = Budget(limits=LIMITS)
    code = TemplateEnvironment(budget, datetime.now).compile(
        "{{ 'ab' * 900 }}{{ 'a' | center(900) }}", raw=True
    )
    assert len(code) < 1500
