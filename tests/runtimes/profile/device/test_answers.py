"""Answers of ``ossc-run --measure`` as values, and those that are refused."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ossc.runtimes.profile.device.answers import (
    THE_CPU,
    AnswerError,
    CallTimes,
    DecodeTiming,
    Device,
    Hello,
    Machine,
    PrefillTiming,
    Probe,
    ProcessMemory,
    is_cpu_driver,
    parse_answer,
)

TIMES = {
    "begin_ns": 1000,
    "segment": [1, 2],
    "step": [0, 0],
    "num_tokens": [3, 1],
    "ns": [50, 20],
    "thread_ns": [0, 50, 10, 40, 55, 65, 0, 0],
}
PREFILL = {"seconds": 1, "argmax": 5, "waited_s": 0.25}
DECODE = {"seconds": [0.5, 1], "argmax": [7, 8], "waited_s": 0.25}
HELLO = {
    "protocol": 2,
    "load_s": 0.5,
    "threads": 2,
    "weights_bytes": 1,
    "state_bytes": 2,
    "arena_bytes": 3,
    "target": "cpu:test",
    "instruction_set": "base",
}
DEVICE = {
    "kind": "opencl",
    "index": 1,
    "platform": "p",
    "name": "n",
    "type": "gpu",
    "driver": "1",
    "memory_bytes": 5,
    "shares_memory": False,
    "has_probes": True,
}
MEMORY = {
    "peak_rss_bytes": 4,
    "anonymous_bytes": 1,
    "peak_anonymous_bytes": 2,
    "mapped_bytes": 3,
}
MACHINE = {
    "cpu_model": "",
    "cpu_features": "fma avx2",
    "cpus": 2,
    "governor": "",
    "mhz": 0,
    "huge_pages": "madvise",
    "memory_bytes": 2,
    "available_bytes": 1,
    "load_average": 0.5,
    "kernel": "6",
}


def test_times_of_threads_are_those_of_the_clock_and_zeros_stay():
    times = CallTimes.parse(TIMES)
    assert times.begin_ns == 1000
    assert times.ns.tolist() == [50, 20]
    expected = [[[1000, 1050], [1010, 1040]], [[1055, 1065], [0, 0]]]
    assert times.thread_ns.tolist() == expected


def test_routing_has_a_row_for_each_layer_and_token():
    routing = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    timing = PrefillTiming.parse(PREFILL | {"routing": routing}, 2, 3)
    assert timing.routing.tolist() == [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]]
    assert (timing.seconds, timing.argmax, timing.waited_s) == (1.0, 5, 0.25)
    assert timing.times is None


def test_a_router_may_choose_fewer_experts_than_another():
    routing = [1, 2, 3, 4, 5, 6, 7, -1, 9, -1, 11, -1]
    timing = PrefillTiming.parse(PREFILL | {"routing": routing}, 2, 3)
    assert timing.routing[1].tolist() == [[7, -1], [9, -1], [11, -1]]


def test_routing_without_routers_is_empty():
    timing = PrefillTiming.parse(PREFILL | {"routing": []}, 0, 3)
    assert timing.routing.shape == (0, 3, 0)


def test_decode_has_an_entry_for_each_token():
    lists = {"times": [TIMES, TIMES], "routing": [[1], [2]]}
    timing = DecodeTiming.parse(DECODE | lists, 1, 2)
    assert (timing.seconds, timing.argmax, timing.waited_s) == ((0.5, 1.0), (7, 8), 0.25)
    assert [times.begin_ns for times in timing.times] == [1000, 1000]
    assert np.array(timing.routing).tolist() == [[[[1]]], [[[2]]]]


def test_the_first_line_may_name_a_device():
    assert parse_answer(Hello, HELLO).device == THE_CPU
    device = parse_answer(Hello, HELLO | {"device": DEVICE}).device
    assert device == Device(**DEVICE)
    assert device.wanted == "opencl:1"
    for name in DEVICE:
        with pytest.raises(AnswerError):
            parse_answer(Hello, HELLO | {"device": DEVICE | {name: None}})


def test_a_cpu_behind_a_driver_is_known_as_one():
    device = Device(**DEVICE)
    assert not is_cpu_driver(device)
    assert is_cpu_driver(replace(device, type="cpu"))
    assert not is_cpu_driver(THE_CPU)


def test_the_others_are_their_fields():
    assert parse_answer(Hello, HELLO | {"news": 1}) == Hello(**HELLO)
    assert parse_answer(Device, DEVICE) == Device(**DEVICE)
    assert parse_answer(ProcessMemory, MEMORY) == ProcessMemory(**MEMORY)
    assert parse_answer(Probe, {"value": 1, "spread": 0.5}) == Probe(value=1.0, spread=0.5)
    assert parse_answer(Machine, MACHINE) == Machine(**MACHINE)


@pytest.mark.parametrize(
    ("parse", "fields"),
    [
        (partial(parse_answer, Hello), HELLO),
        (partial(parse_answer, ProcessMemory), MEMORY),
        (partial(parse_answer, Machine), MACHINE),
        (partial(parse_answer, Probe), {"value": 1, "spread": 1}),
        (CallTimes.parse, TIMES),
        (lambda f: PrefillTiming.parse(f, 1, 1), PREFILL),
        (lambda f: DecodeTiming.parse(f, 1, 2), DECODE),
    ],
    ids=["hello", "memory", "machine", "probe", "times", "prefill", "decode"],
)
@pytest.mark.parametrize("wrong", [None, True, [None], ["1"], {}, [[]]], ids=json.dumps)
def test_a_field_of_another_type_or_none_is_refused(parse, fields, wrong):
    for name in fields:
        with pytest.raises(AnswerError):
            parse({other: fields[other] for other in fields if other != name})
        with pytest.raises(AnswerError):
            parse(fields | {name: wrong})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"threads": "2"}, "`int`, got `str` - at `$.threads`", id="other-type"),
        pytest.param({"threads": 2.0}, "`int`, got `float`", id="fraction"),
        pytest.param({"load_s": True}, "`float`, got `bool`", id="bool"),
    ],
)
def test_a_refusal_names_the_answer_and_the_field(changes, reason):
    with pytest.raises(AnswerError) as refused:
        parse_answer(Hello, HELLO | changes)
    assert str(refused.value).startswith("the answer is no Hello: Expected ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"segment": [1]}, id="segment"),
        pytest.param({"num_tokens": [1, 2, 3]}, id="num-tokens"),
        pytest.param({"thread_ns": [0, 1, 2]}, id="threads"),
        pytest.param({"thread_ns": []}, id="no-threads"),
        pytest.param({"ns": [1, 2**64]}, id="huge"),
        pytest.param({"ns": [1, 2.5]}, id="fraction"),
        pytest.param(
            {"segment": [], "step": [], "num_tokens": [], "ns": [], "thread_ns": []}, id="no-steps"
        ),
    ],
)
def test_times_that_contradict_each_other_are_refused(changes):
    with pytest.raises(AnswerError):
        CallTimes.parse(TIMES | changes)


@pytest.mark.parametrize("times", [1, [], "x"])
def test_times_that_are_no_object_are_refused(times):
    with pytest.raises(AnswerError):
        PrefillTiming.parse(PREFILL | {"times": times}, 1, 1)


@pytest.mark.parametrize("routing", [[], [1, 2, 3], [2**40, 1, 1, 1, 1, 1], [-1] * 6, [1, -2] * 6])
def test_routing_of_another_shape_is_refused(routing):
    with pytest.raises(AnswerError):
        PrefillTiming.parse(PREFILL | {"routing": routing}, 2, 3)


@pytest.mark.parametrize("name", ["seconds", "argmax", "times", "routing"])
def test_decode_with_another_number_of_tokens_is_refused(name):
    fields = DECODE | {"times": [TIMES] * 2, "routing": [[1], [1]]}
    DecodeTiming.parse(fields, 1, 2)
    with pytest.raises(AnswerError):
        DecodeTiming.parse(fields | {name: fields[name][:1]}, 1, 2)
