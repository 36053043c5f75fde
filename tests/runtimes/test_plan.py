"""The execution plan and its bytes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossc.runtimes.plan import DType, Plan, Space
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import (
    CACHE,
    HIDDEN_IN,
    HIDDEN_OUT,
    IDS,
    ROUTER,
    TENSORS,
    body,
    head,
    make_plan,
    step,
    tensor,
)

DECODE, PREFILL = body("decode", 1), body("prefill", 4)


def with_tensor(index, tensor):
    return (*TENSORS[:index], tensor, *TENSORS[index + 1 :])


def with_decode(**changes):
    return (replace(DECODE, **changes), PREFILL, head(1))


def test_a_plan_survives_its_bytes():
    plan = make_plan()
    assert Plan.from_bytes(plan.to_bytes()) == plan


def test_the_bytes_begin_with_the_fields_of_the_format():
    data = make_plan().to_bytes()
    assert data[:12] == b"OSSCPLAN\1\0\0\0"
    assert data[12:20] == (40 * 16 * 4).to_bytes(8, "little")
    assert data[36:52] == bytes([24, 0, 0, 0, 40, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0])
    assert data[52:63] == bytes([0, 0, 2]) + bytes(8)


def test_derived_sizes_come_from_the_interface():
    plan = make_plan()
    assert (plan.hidden_size, plan.router_layers, plan.num_experts_per_tok) == (16, (0,), 2)
    assert plan.segment("head", 16).max_tokens == 16


def test_a_plan_cut_anywhere_is_refused():
    data = make_plan().to_bytes()
    for length in range(len(data)):
        with pytest.raises(BundleError):
            Plan.from_bytes(data[:length])


def test_a_plan_with_more_bytes_is_refused():
    with pytest.raises(BundleError, match="after its end"):
        Plan.from_bytes(make_plan().to_bytes() + b"\0")


def test_another_abi_version_is_refused_before_anything_else_is_read():
    with pytest.raises(BundleError, match="ABI version is 2, and this ossc runs 1"):
        Plan.from_bytes(b"OSSCPLAN\2\0\0\0")


@given(st.integers(0, len(make_plan().to_bytes()) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_the_plan(position, change):
    data = bytearray(make_plan().to_bytes())
    data[position] ^= change
    try:
        plan = Plan.from_bytes(bytes(data))
    except BundleError:
        return
    assert plan.to_bytes() == bytes(data)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"abi_version": 2}, "ABI version is 2", id="abi"),
        pytest.param({"state_bytes": 2**49}, "out of range", id="huge-space"),
        pytest.param({"context": 0}, "context is 0", id="no-context"),
        pytest.param({"vocab_size": -1}, "vocab_size is -1", id="no-vocabulary"),
        pytest.param({"state_bytes": 4864}, "ends at byte 6400 of state", id="state-too-small"),
        pytest.param({"weights_bytes": 2559}, "ends at byte 2560 of weights", id="weights"),
        pytest.param({"arena_bytes": 255}, "ends at byte 256 of arena", id="arena-of-the-chunk"),
        pytest.param({"tensors": TENSORS[:-1]}, "uses tensor 8", id="missing-tensor"),
        pytest.param({"segments": (DECODE, PREFILL)}, "head for one row", id="no-head"),
        pytest.param({"segments": (DECODE, head(1))}, "one segment prefill", id="no-prefill"),
        pytest.param({"segments": (PREFILL, head(1))}, "one segment decode", id="no-decode"),
        pytest.param({"segments": (DECODE, PREFILL, head(1), head(1))}, "alike", id="two-heads"),
        pytest.param(
            {"segments": (DECODE, PREFILL, *(head(rows) for rows in range(1, 16)))},
            "too many segments",
            id="many-heads",
        ),
        pytest.param(
            {"segments": with_decode(outputs={"router_indices.0": ROUTER})},
            "no output hidden",
            id="no-hidden",
        ),
        pytest.param(
            {"segments": with_decode(inputs={"input_ids": IDS})}, "other inputs", id="no-positions"
        ),
        pytest.param(
            {"segments": with_decode(outputs={"hidden": HIDDEN_OUT, "cache": CACHE})},
            "are not router_indices",
            id="unknown-output",
        ),
        pytest.param(
            {"segments": with_decode(outputs={"hidden": HIDDEN_OUT})},
            "are not router_indices",
            id="routers-differ",
        ),
        pytest.param(
            {"segments": with_decode(outputs={"hidden": CACHE, "router_indices.0": ROUTER})},
            "hidden of decode has shape",
            id="hidden-without-rows",
        ),
        pytest.param(
            {"tensors": with_tensor(IDS, tensor(Space.STATE, 0, DType.I32, -1))},
            "input_ids of decode is I32",
            id="narrow-ids",
        ),
        pytest.param(
            {"tensors": with_tensor(IDS, tensor(Space.ARENA, 0, DType.I64, -1))},
            "not in the state",
            id="ids-in-the-arena",
        ),
        pytest.param(
            {"tensors": with_tensor(HIDDEN_IN, tensor(Space.STATE, 0, DType.F32, -1, 15))},
            "hidden of head has shape",
            id="head-of-another-width",
        ),
        pytest.param(
            {"tensors": with_tensor(HIDDEN_OUT, tensor(Space.STATE, 0, DType.F32, 1, -1))},
            "has no columns",
            id="hidden-across",
        ),
    ],
)
def test_a_plan_that_the_runtime_could_not_run_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        make_plan(**changes)


@pytest.mark.parametrize(
    ("offset_bytes", "shape", "fault"),
    [
        pytest.param(8, (1,), "multiple of 64", id="unaligned"),
        pytest.param(-64, (1,), "out of range", id="before-the-space"),
        pytest.param(0, (-1, -1), "two dimensions of n_tokens", id="two-symbols"),
        pytest.param(0, (0,), "not valid", id="empty"),
        pytest.param(0, (-2,), "not valid", id="negative"),
        pytest.param(0, (1,) * 9, "too many dimensions", id="deep"),
    ],
)
def test_a_buffer_that_cannot_be_is_refused(offset_bytes, shape, fault):
    with pytest.raises(BundleError, match=fault):
        tensor(Space.STATE, offset_bytes, DType.F32, *shape)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"kernel": "a-b"}, "not a C name", id="kernel"),
        pytest.param({"kernel": "k" * 256}, "256 bytes long", id="long"),
        pytest.param({"label": "\x1b[2J"}, "cannot be printed", id="label"),
        pytest.param({"tensors": ()}, "has 0 buffers", id="no-buffers"),
        pytest.param({"tensors": (1,) * 31}, "has 31 buffers", id="many-buffers"),
        pytest.param({"tasks_fixed": -1}, r"has \(-1, 1\) tasks", id="negative-tasks"),
        pytest.param({"ranged": False}, "disagree", id="tasks-without-a-range"),
        pytest.param({"tasks_per_token": 0}, "disagree", id="a-range-without-tasks"),
        pytest.param({"layer": -2}, "layer -2", id="layer"),
    ],
)
def test_a_step_that_cannot_be_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        replace(step("kernel", 1, per_token=1), **changes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"name": "encode"}, "unknown", id="name"),
        pytest.param({"max_tokens": 0}, "takes 0 tokens", id="no-tokens"),
        pytest.param({"max_tokens": 2}, "more than one", id="decode-of-two"),
        pytest.param({"inputs": {"\n": 1}}, "cannot be printed", id="input"),
    ],
)
def test_a_segment_that_cannot_be_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        replace(DECODE, **changes)
