"""The size of a call, the work that follows from it, and the costs in a manifest."""

import json
from dataclasses import asdict, replace

import pytest

from ossc.runtimes.kernel_cost import Call, KernelCost, Work, expected_experts
from ossc.runtimes.strict_json import parse_object
from ossc.targets.errors import BundleError

WORK = Work(fixed=1, per_token=10, per_expert=100, per_key=1000, per_pair=10_000)
COST = KernelCost(
    operation="sink_attention",
    scheme=None,
    arithmetic="f32",
    bytes=WORK,
    operations=Work(per_pair=4),
    experts=8,
    experts_per_tok=2,
    window=0,
)


def test_a_work_is_a_sum_of_five_terms():
    call = Call(tokens=2, experts=3, keys=4, pairs=5)
    assert WORK.of(call) == 1 + 20 + 300 + 4000 + 50_000
    assert WORK.streamed(call) == 1 + 300 + 4000


@pytest.mark.parametrize(
    ("window", "tokens", "position", "keys", "pairs"),
    [
        pytest.param(0, 1, 0, 1, 1, id="first-token"),
        pytest.param(0, 1, 9, 10, 10, id="later-token"),
        pytest.param(0, 3, 9, 12, 10 + 11 + 12, id="chunk"),
        pytest.param(4, 1, 9, 4, 4, id="window"),
        pytest.param(4, 3, 9, 6, 12, id="chunk-in-a-window"),
        pytest.param(4, 5, 1, 6, 2 + 3 + 4 + 4 + 4, id="chunk-that-fills-a-window"),
        pytest.param(4, 9, 0, 9, 1 + 2 + 3 + 6 * 4, id="prompt-longer-than-the-window"),
    ],
)
def test_keys_and_pairs_are_those_that_a_mask_shows(window, tokens, position, keys, pairs):
    call = replace(COST, window=window).call(tokens, position)
    seen = [
        {j for j in range(i + 1) if not window or j > i - window}
        for i in range(position, position + tokens)
    ]
    assert (len(set().union(*seen)), sum(map(len, seen))) == (keys, pairs)
    assert (call.keys, call.pairs) == (keys, pairs)


@pytest.mark.parametrize(
    ("experts", "k", "tokens", "expected"),
    [
        pytest.param(32, 4, 1, 4, id="one-token"),
        pytest.param(4, 2, 2, 3, id="two-tokens"),
        pytest.param(8, 8, 3, 8, id="all"),
        pytest.param(0, 0, 5, 0, id="no-experts"),
    ],
)
def test_the_expected_number_of_experts(experts, k, tokens, expected):
    assert expected_experts(experts, k, tokens) == pytest.approx(expected)


def test_measured_experts_take_the_place_of_expected_ones():
    assert COST.call(2, 0).experts == pytest.approx(3.5)
    assert COST.call(2, 0, experts=2).experts == 2


def test_a_kernel_without_experts_meets_none():
    assert replace(COST, experts=0, experts_per_tok=0).call(2, 0, experts=2).experts == 0


def read(**changes):
    data = json.dumps(asdict(COST) | changes).encode()
    return KernelCost.read(parse_object(data, "test"))


def test_a_cost_survives_its_json():
    assert read() == COST
    assert read(scheme="f16").scheme == "f16"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"arithmetic": "fp4"}, "none of f32, int8, int8x2, copy", id="arithmetic"),
        pytest.param({"scheme": 1}, "not a printable text", id="scheme"),
        pytest.param({"colour": "red"}, "unknown fields colour", id="unknown"),
        pytest.param({"bytes": {"fixed": 1}}, "no field 'per_token'", id="missing"),
        pytest.param({"operations": asdict(Work(fixed=-1))}, "at least 0", id="negative"),
        pytest.param({"bytes": asdict(WORK) | {"more": 1}}, "unknown fields more", id="more"),
    ],
)
def test_other_json_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        read(**changes)
