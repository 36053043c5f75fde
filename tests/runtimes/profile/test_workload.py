"""What a profile runs."""

import pytest

from ossc.runtimes.profile.workload import Tokens, Workload, workload_tokens
from ossc.targets.errors import UsageError


def test_what_is_left_open_is_filled_in():
    workload = Workload().fit(4096)
    assert workload.prompt_tokens == (128,)
    assert workload.depths == (128,)


def test_the_default_prompt_shrinks_to_a_small_context():
    workload = Workload(new_tokens=32).fit(64)
    assert workload.prompt_tokens == (32,)
    assert workload.depths == (32,)


def test_what_was_asked_for_is_kept():
    asked = Workload(prompt_tokens=(7, 9), depths=(50,), repeats=2, new_tokens=3, kv="f16")
    assert asked.fit(64) == asked


@pytest.mark.parametrize(
    "workload",
    [
        pytest.param(Workload(prompt_tokens=(61,), new_tokens=4), id="prompt"),
        pytest.param(Workload(depths=(8, 61), new_tokens=4), id="depth"),
        pytest.param(Workload(new_tokens=64), id="new-tokens"),
    ],
)
def test_what_does_not_fit_into_the_context_is_refused(workload):
    with pytest.raises(UsageError, match="context of 64"):
        workload.fit(64)


def test_random_tokens_are_always_the_same_and_in_the_vocabulary():
    workload = Workload(prompt_tokens=(50,), new_tokens=10).fit(100)
    first, again = (workload_tokens(workload, 33).take(0, 60) for _ in range(2))
    assert first == again
    assert set(first) <= set(range(33))
    assert len(set(first)) > 10


def test_a_text_repeats_when_it_is_too_short():
    assert Tokens((1, 2, 3)).take(2, 5) == [3, 1, 2, 3, 1]


def test_the_tokens_of_a_text_are_taken():
    workload = Workload(token_ids=(5, 6, 7), new_tokens=2).fit(100)
    assert workload_tokens(workload, 10).take(0, 3) == [5, 6, 7]
