"""Steps of two builds are matched by what they are for."""

from dataclasses import replace

import numpy as np

from ossc.runtimes.plan import Plan
from ossc.runtimes.profile.device.answers import CallTimes
from ossc.runtimes.profile.gate.steps import Kernels, match_steps
from synthetic.tiny_plan import CHUNK, body, head, make_plan

DECODE, PREFILL, HEAD = 0, 1, 2


def call(*segments: tuple[int, int, int]) -> CallTimes:
    """A call of some segments: index, number of steps, rows."""
    index, step, tokens = [], [], []
    for segment, steps, rows in segments:
        index += [segment] * steps
        step += range(steps)
        tokens += [rows] * steps
    return CallTimes(
        begin_ns=0,
        segment=np.array(index),
        step=np.array(step),
        num_tokens=np.array(tokens),
        ns=np.ones(len(index), np.int64),
        thread_ns=np.zeros((len(index), 1, 2), np.int64),
    )


def with_steps(change) -> Plan:
    """The tiny plan, its decode's steps changed."""
    decode = body("decode", 1)
    segments = (replace(decode, steps=tuple(change(decode.steps))), body("prefill", CHUNK))
    return make_plan(segments=(*segments, head(1), head(16)))


TOKEN = call((DECODE, 4, 1), (HEAD, 1, 1))


def test_equal_plans_match_step_by_step():
    match = match_steps(make_plan(), TOKEN, make_plan(), TOKEN)
    assert match.current.tolist() == match.baseline.tolist() == [0, 1, 2, 3, 4]
    assert match.only_current == match.only_baseline == {}


def test_another_kernel_for_the_same_label_is_matched():
    other = with_steps(lambda steps: [replace(steps[0], kernel="wide"), *steps[1:]])
    match = match_steps(other, TOKEN, make_plan(), TOKEN)
    assert match.kernels[0] == Kernels("wide", "test_embedding")
    assert len(match.kernels) == 5


def test_a_step_that_is_gone_moves_the_others():
    shorter = with_steps(lambda steps: [steps[0], *steps[2:]])
    token = call((DECODE, 3, 1), (HEAD, 1, 1))
    match = match_steps(shorter, token, make_plan(), TOKEN)
    assert match.current.tolist() == [0, 1, 2, 3]
    assert match.baseline.tolist() == [0, 2, 3, 4]
    assert match.only_baseline == {"test_router": [1]}


def test_chunks_of_a_prompt_are_matched_in_turn():
    prompt = call((PREFILL, 4, CHUNK), (PREFILL, 4, CHUNK), (PREFILL, 4, 1), (HEAD, 1, 1))
    match = match_steps(make_plan(), prompt, make_plan(), prompt)
    assert match.current.tolist() == match.baseline.tolist() == list(range(13))
    assert match.by_kernels()[Kernels("test_store", "test_store")].tolist() == [2, 6, 10]


def test_chunks_of_other_sizes_are_not_the_same_work():
    one, two = call((PREFILL, 4, 4)), call((PREFILL, 4, 2), (PREFILL, 4, 2))
    match = match_steps(make_plan(), one, make_plan(), two)
    assert not match.kernels
    assert match.only_baseline["test_mean"] == [3, 7]


def test_layers_that_one_side_computes_by_another_kernel_are_a_group_of_their_own():
    first = body("decode", 1).steps[0]
    layers = [replace(first, label="layer 0"), replace(first, label="layer 1")]
    both = with_steps(lambda steps: [*layers, *steps[1:]])
    split = with_steps(lambda steps: [layers[0], replace(layers[1], kernel="windowed"), *steps[1:]])
    token = call((DECODE, 5, 1))
    groups = match_steps(split, token, both, token).by_kernels()
    assert groups[Kernels("test_embedding", "test_embedding")].tolist() == [0]
    assert groups[Kernels("windowed", "test_embedding")].tolist() == [1]
