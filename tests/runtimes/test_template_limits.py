"""Bounds on what a template uses up, at limits small enough to reach with harmless input."""

import pytest
from jinja2.utils import Namespace

from ossc.runtimes.template_limits import (
    MAX_DEPTH,
    Budget,
    CountedIterable,
    TemplateLimitError,
    TemplateLimits,
)


def budget(**limits):
    return Budget(limits=TemplateLimits(**limits))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        pytest.param("abc", 3, id="text"),
        pytest.param(["ab", "c"], 6, id="list"),
        pytest.param({"ab": ("c",)}, 8, id="object"),
        pytest.param(range(10**9), 1, id="range"),
        pytest.param(2**30, 10, id="integer"),
        pytest.param(Namespace(a="bcd"), 7, id="namespace"),
        pytest.param({"a": 1}.items(), 6, id="items"),
    ],
)
def test_a_value_s_size_is_its_entries_and_characters(value, size):
    assert budget().size(value) == size


def test_what_is_there_twice_counts_twice():
    texts = ["abcd"] * 100
    assert budget().size([texts, texts]) > 2 * 400
    with pytest.raises(TemplateLimitError, match="more than 800 characters"):
        budget(characters=800).size([texts, texts])


def test_a_known_value_has_the_size_that_it_has():
    messages = [{"role": "user", "content": ["a", "bc"]}]
    knowing = budget()
    knowing.know(messages)
    assert knowing.size(messages) == budget().size(messages)
    assert knowing.size([messages, messages[0]["content"]]) == budget().size(
        [messages, messages[0]["content"]]
    )


def test_lists_in_lists_end_somewhere():
    nested = []
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    with pytest.raises(TemplateLimitError, match="nests more than"):
        budget().size(nested)
    itself = Namespace()
    itself["me"] = itself
    with pytest.raises(TemplateLimitError, match="nests more than"):
        budget().size(itself)


def test_each_turn_of_a_loop_is_a_step():
    counting = budget(steps=10)
    assert list(CountedIterable("abcdefghij", counting)) == list("abcdefghij")
    with pytest.raises(TemplateLimitError, match="more than 10 steps"):
        counting.turn()


def test_a_loop_knows_its_length_where_its_iterable_does():
    assert len(CountedIterable("abc", budget())) == 3
    with pytest.raises(TypeError):
        len(CountedIterable(iter("abc"), budget()))


def test_a_long_text_is_several_steps():
    counting = budget(steps=10)
    with pytest.raises(TemplateLimitError, match="steps"):
        counting.checked("x" * 50_000)


def test_time_ends():
    with pytest.raises(TemplateLimitError, match="more than 0 s"):
        budget(seconds=0.0).turn()


def test_a_long_template_is_not_begun():
    limits = TemplateLimits(source_characters=10)
    with pytest.raises(TemplateLimitError, match="has 11 characters, and at most 10 are read"):
        Budget(limits=limits, source_characters=11)


def test_what_is_written_adds_up():
    writing = budget(characters=10)
    writing.written("12345")
    writing.written("67890")
    with pytest.raises(TemplateLimitError, match="more than 10 characters"):
        writing.written("1")
