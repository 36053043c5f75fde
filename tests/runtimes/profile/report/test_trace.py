"""The rules are those of the Trace Event Format, as chrome://tracing and Perfetto read it."""

import json
from collections import defaultdict
from dataclasses import replace

import pytest

from ossc.runtimes.profile.profile import StepSpan
from ossc.runtimes.profile.report.trace import to_trace
from profile_example import driver_profile, emulated_profile, example_profile

REQUIRED = {
    "M": {"name", "pid", "tid", "args"},
    "X": {"name", "cat", "pid", "tid", "ts", "dur", "args"},
    "C": {"name", "pid", "ts", "args"},
}
"""Fields that an event of a phase has to have."""


@pytest.fixture(scope="module")
def profile():
    return example_profile()


@pytest.fixture(scope="module")
def trace(profile):
    return json.loads(to_trace(profile))


def slices(trace):
    return [event for event in trace["traceEvents"] if event["ph"] == "X"]


def test_every_event_has_the_fields_of_its_phase(trace):
    for event in trace["traceEvents"]:
        assert event.keys() >= REQUIRED[event["ph"]], event
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert isinstance(event["args"], dict)


def test_times_are_microseconds_since_the_token_began(trace, profile):
    times = [(event["ts"], event["ts"] + event["dur"]) for event in slices(trace)]
    last = profile.timeline[-1]
    assert min(begin for begin, _ in times) == 0
    assert max(end for _, end in times) == pytest.approx(last.begin_us + last.us, abs=0.001)


def test_slices_of_a_lane_are_inside_each_other_or_apart(trace):
    lanes = defaultdict(list)
    for event in slices(trace):
        begin = round(event["ts"] * 1000)  # whole ns
        lanes[event["tid"]].append((begin, -round(event["dur"] * 1000)))
    assert len(lanes) == 3
    for lane in lanes.values():
        open_ends = []
        for begin, negative in sorted(lane):
            while open_ends and open_ends[-1] <= begin:
                open_ends.pop()
            assert not open_ends or begin - negative <= open_ends[-1]
            open_ends.append(begin - negative)


def test_every_lane_and_the_process_have_a_name(trace):
    named = {
        e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"
    }
    assert named == {0: "layers and steps", 1: "thread 0", 2: "thread 1"}
    assert {event["tid"] for event in slices(trace)} == named.keys()
    (process,) = [e for e in trace["traceEvents"] if e["name"] == "process_name"]
    assert process["args"]["name"] == "gpt-oss-20b.x86-64-v3 (cpu:x86-64-v3)"


def test_every_step_is_a_slice_with_its_kernel_and_its_bound(trace, profile):
    steps = [event for event in slices(trace) if event["cat"] == "step"]
    assert [event["name"] for event in steps] == [span.label for span in profile.timeline]
    expert = next(event for event in steps if event["name"].endswith("gate_up_proj"))
    assert expert["args"] == {
        "kernel": "expert_swiglu_mxfp4_int8x2_32x2880x2880_4_avx2_n1",
        "layer": 0,
        "operation": "expert_swiglu",
        "scheme": "mxfp4",
        "bound": "memory",
        "of_bound": pytest.approx(0.94),
        "bytes": pytest.approx(4 * 5760 * 2880 * 17 / 32, rel=0.01),
        "operations": 2 * 4 * 5760 * 2880,
    }


def test_threads_have_slices_only_where_they_worked(trace, profile):
    worked = sum(us > 0 for span in profile.timeline for _, us in span.threads)
    assert sum(event["cat"] == "thread" for event in slices(trace)) == worked
    assert worked < 2 * len(profile.timeline)


def test_a_layer_is_a_slice_over_its_steps(trace, profile):
    layers = [event for event in slices(trace) if event["cat"] == "layer"]
    assert [event["name"] for event in layers] == [f"layer {i}" for i in range(24)]
    own = [span for span in profile.timeline if span.layer == 5]
    assert layers[5]["ts"] == pytest.approx(own[0].begin_us, abs=0.001)
    assert layers[5]["dur"] == pytest.approx(sum(span.us for span in own), abs=0.002)


def test_the_counter_is_bytes_over_time(trace):
    rates = [event["args"]["GB/s"] for event in trace["traceEvents"] if event["ph"] == "C"]
    assert max(rates) == pytest.approx(29.5, rel=0.01)  # that of the experts


def test_an_emulated_trace_says_so():
    trace = json.loads(to_trace(emulated_profile()))
    assert trace["otherData"]["emulated"] is True
    assert "EMULATED" in trace["traceEvents"][0]["args"]["name"]
    assert "bound" not in slices(trace)[0]["args"]


def test_a_kernel_that_the_table_of_kernels_lacks_is_shown_all_the_same(profile):
    span = StepSpan(label="new", kernel="k", layer=-1, begin_us=0, us=1, threads=((0.0, 1.0),))
    trace = json.loads(to_trace(replace(profile, timeline=(span,))))
    assert [event["args"] for event in slices(trace)] == [{"kernel": "k", "layer": -1}] * 2


def test_a_profile_without_a_timeline_is_an_empty_trace(profile):
    assert slices(json.loads(to_trace(replace(profile, timeline=())))) == []


def test_a_device_has_a_lane_and_its_label():
    trace = json.loads(to_trace(driver_profile()))
    assert trace["otherData"]["note"] == "PoCL is a driver of a CPU."
    assert trace["otherData"]["device"].startswith("pthread (cpu), opencl by PoCL, driver 3.1")
    names = [
        event["args"]["name"]
        for event in trace["traceEvents"]
        if event["ph"] == "M" and event["name"] in ("process_name", "thread_name")
    ]
    assert names[0].endswith(", cpu pthread)")
    assert "device" in names
