"""The steps of a pass over the tests' plan."""

import pytest

from ossc.runtimes.profile.passes import pass_bytes, pass_steps
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import CHUNK, COSTS, ROW_BYTES, WEIGHTS_BYTES, make_plan

PLAN = make_plan()


def labels(steps):
    return [(one.step.kernel, one.call.tokens) for one in steps]


def test_a_token_runs_the_decode_segment_and_a_chunk_the_other():
    decode, prefill = PLAN.segment("decode"), PLAN.segment("prefill")
    assert labels(pass_steps(PLAN, COSTS, 1, 5, head=False)) == [
        (s.kernel, 1) for s in decode.steps
    ]
    assert labels(pass_steps(PLAN, COSTS, CHUNK, 0, head=False)) == [
        (step.kernel, CHUNK) for step in prefill.steps
    ]


def test_the_head_sees_one_token():
    steps = pass_steps(PLAN, COSTS, CHUNK, 0, head=True)
    (head,) = PLAN.segment("head", 1).steps
    assert (steps[-1].step, steps[-1].call.tokens) == (head, 1)


def test_what_a_pass_reads_grows_with_the_keys_and_not_with_the_tokens():
    shallow, deep = (pass_bytes(PLAN, COSTS, 1, position) for position in (3, 9))
    assert shallow > WEIGHTS_BYTES
    assert deep - shallow == 6 * ROW_BYTES
    assert pass_bytes(PLAN, COSTS, CHUNK, 0) == shallow


def test_a_kernel_without_a_cost_is_refused():
    with pytest.raises(BundleError, match="says nothing of the kernel"):
        pass_steps(PLAN, {}, 1, 0, head=True)
