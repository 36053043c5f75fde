"""The timeline of one token."""

import re
from dataclasses import replace

import pytest

from ossc.runtimes.profile.profile import StepSpan
from ossc.runtimes.profile.report.plots.token_timeline import token_timeline
from profile_example import example_profile


def span(label, layer, begin, us, *threads, kernel="linear_n1"):
    return StepSpan(label=label, kernel=kernel, layer=layer, begin_us=begin, us=us, threads=threads)


SPANS = [
    span("embed", -1, 0.0, 10.0, (0.0, 9.0), (0.0, 0.0), kernel="embedding_n1"),
    span("layers.0.a", 0, 10.0, 20.0, (10.5, 19.0), (10.7, 18.0)),
    span("layers.0.b", 0, 30.0, 5.0, (30.5, 4.0), (0.0, 0.0)),
    span("layers.1.a", 1, 35.0, 20.0, (35.5, 19.0), (35.7, 18.0)),
]


def test_every_span_of_a_thread_is_a_rectangle_in_its_lane():
    timeline = token_timeline(SPANS, {"linear_n1": "linear", "embedding_n1": "embedding"})
    paths = dict(timeline.paths)
    assert paths.keys() == {"linear", "small"}
    assert paths["small"] == "M0.000 0.08h9.000v0.84h-9.000z"
    lanes = [int(float(y)) for y in re.findall(r"M[\d.]+ ([\d.]+)h", paths["linear"])]
    assert lanes == [0, 1, 0, 0, 1]


def test_a_layer_reaches_over_its_steps():
    layers = token_timeline(SPANS, {}).layers
    assert [(layer.layer, layer.begin_us, layer.us) for layer in layers] == [
        (0, 10, 25),
        (1, 35, 20),
    ]


def test_the_script_gets_what_the_paths_show():
    data = token_timeline(SPANS, {"linear_n1": "linear"}).data
    assert data["us"] == 55
    assert data["threads"] == 2
    assert data["layers"] == [[0, 10.0, 25.0], [1, 35.0, 20.0]]
    label, kernel, layer, begin, us, family, threads = data["steps"][1]
    assert (label, data["kernels"][kernel], layer) == ("layers.0.a", "linear_n1", 0)
    assert (begin, us, family, threads) == (10.0, 20.0, "linear", [[10.5, 19.0], [10.7, 18.0]])


def test_an_unknown_kernel_is_of_the_family_of_its_symbol():
    odd = [replace(SPANS[0], kernel="sink_attention_64_n1")]
    assert token_timeline(odd, {}).data["steps"][0][5] == "attention"


def test_a_long_token_needs_fewer_decimals():
    timeline = token_timeline(example_profile().timeline, {})
    assert timeline.axis.high == pytest.approx(95.2, rel=0.01)
    assert "." in timeline.paths[0][1]
    assert not re.search(r"h\d+\.\d\d", timeline.paths[0][1])


@pytest.mark.parametrize("spans", [[], [span("a", 0, 0.0, 0.0, (0.0, 0.0))]])
def test_without_time_there_is_no_timeline(spans):
    assert token_timeline(spans, {}) is None
