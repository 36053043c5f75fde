"""The segments of a plan."""

from dataclasses import replace

import pytest

from ossc.runtimes.plan import Binding
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import body, step


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"name": "encode"}, "unknown", id="name"),
        pytest.param({"max_tokens": 0}, "takes 0 tokens", id="no-tokens"),
        pytest.param({"max_tokens": 2}, "more than one", id="decode-of-two"),
        pytest.param({"inputs": (Binding(tensor=0, layer=-2),)}, "layer -2", id="input"),
        pytest.param({"outputs": (Binding(tensor=0, layer=65536),)}, "layer 65536", id="output"),
    ],
)
def test_a_segment_that_cannot_be_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        replace(body("decode", 1), **changes)


def test_tasks_are_counted_for_the_most_rows():
    many = step("kernel", 0, per_token=2**30)
    assert replace(body("decode", 1), steps=(many,)).steps == (many,)
    with pytest.raises(BundleError, match=r"kernel has 2147483648 tasks"):
        replace(body("prefill", 2), steps=(many,))
