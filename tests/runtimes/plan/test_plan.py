"""The execution plan and its bytes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossc.runtimes.plan import Binding, Device, DType, Plan, Role, Use
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import (
    ARENA,
    CACHE,
    HIDDEN_IN,
    HIDDEN_OUT,
    IDS,
    ROUTER,
    STATE,
    TENSORS,
    WEIGHTS,
    body,
    head,
    make_plan,
    tensor,
)

DECODE, PREFILL = body("decode", 1), body("prefill", 4)


def with_tensor(index, tensor):
    return {"tensors": (*TENSORS[:index], tensor, *TENSORS[index + 1 :])}


def with_decode(**changes):
    return {"segments": (replace(DECODE, **changes), PREFILL, head(1))}


def with_outputs(*bindings):
    outputs = tuple(Binding(tensor=index, layer=layer) for index, layer in bindings)
    return with_decode(outputs=outputs)


def with_spaces(weights=WEIGHTS, state=STATE, arena=ARENA):
    return {"spaces": (weights, state, arena)}


def test_a_plan_survives_its_bytes():
    plan = make_plan()
    assert Plan.from_bytes(plan.to_bytes()) == plan


def test_the_bytes_begin_with_the_fields_of_the_format():
    data = make_plan().to_bytes()
    assert data[:12] == b"OSSCPLAN\2\0\0\0"
    assert data[12:36] == bytes(
        [24, 0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0]
    )
    assert data[36:45] == b"\3\0cpu\0\0\0\0"
    weights = b"\0\0" + bytes([64, 0, 0, 0]) + (40 * 16 * 4).to_bytes(8, "little")
    assert data[45:72] == weights + b"\x0b\0weights.bin"
    state = b"\1\0" + bytes([64, 0, 0, 0]) + (16384).to_bytes(8, "little") + b"\0\0"
    assert data[72:88] == state
    assert data[104:116] == bytes([0, 5, 0, 2]) + bytes(8)


def test_derived_sizes_come_from_the_interface():
    plan = make_plan()
    assert (plan.hidden_size, plan.router_layers, plan.num_experts_per_tok) == (16, (0,), 2)
    assert (plan.weights_bytes, plan.state_bytes, plan.arena_bytes) == (2560, 16384, 4096)
    assert plan.segment("head", 16).max_tokens == 16


def test_each_router_chooses_as_many_experts_as_it_likes():
    wide = tensor(Use.STATE, 1024, DType.I32, -1, 3, role=Role.EXPERT_INDICES)
    routers = (Binding(tensor=ROUTER, layer=0), Binding(tensor=len(TENSORS), layer=4))
    bodies = [replace(each, outputs=(*each.outputs[:1], *routers)) for each in (DECODE, PREFILL)]
    plan = make_plan(tensors=(*TENSORS, wide), segments=(*bodies, head(1)))
    assert plan.router_widths == {0: 2, 4: 3}
    assert plan.num_experts_per_tok == 3
    assert Plan.from_bytes(plan.to_bytes()) == plan


def test_a_plan_needs_no_routers():
    bodies = [replace(each, outputs=each.outputs[:1]) for each in (DECODE, PREFILL)]
    plan = make_plan(segments=(*bodies, head(1)))
    assert (plan.router_layers, plan.num_experts_per_tok) == ((), 0)


def test_weights_may_lie_in_several_files():
    shard = replace(WEIGHTS, file="weights.1.bin")
    other = replace(TENSORS[0], space=3)
    plan = make_plan(spaces=(WEIGHTS, STATE, ARENA, shard), tensors=(*TENSORS, other))
    assert plan.weights_bytes == 2 * 2560
    assert plan.use_of(other) == Use.WEIGHTS


def test_a_plan_cut_anywhere_is_refused():
    data = make_plan().to_bytes()
    for length in range(len(data)):
        with pytest.raises(BundleError):
            Plan.from_bytes(data[:length])


def test_a_plan_with_more_bytes_is_refused():
    with pytest.raises(BundleError, match="after its end"):
        Plan.from_bytes(make_plan().to_bytes() + b"\0")


def test_another_abi_version_is_refused_before_anything_else_is_read():
    with pytest.raises(BundleError, match="ABI version 1, and this ossc runs 2; compile the model"):
        Plan.from_bytes(b"OSSCPLAN\1\0\0\0")


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
        pytest.param({"abi_version": 1}, "ABI version 1", id="abi"),
        pytest.param({"context": 0}, "context is 0", id="no-context"),
        pytest.param({"vocab_size": -1}, "vocab_size is -1", id="no-vocabulary"),
        pytest.param({"devices": ()}, "has 0 devices", id="no-device"),
        pytest.param({"devices": (Device(kind="cpu"),) * 17}, "has 17 devices", id="many-devices"),
        pytest.param({"spaces": (WEIGHTS, STATE)}, "tensor 8 is in space 2", id="missing-space"),
        pytest.param({"spaces": (ARENA,) * 256}, "has 256 spaces", id="many-spaces"),
        pytest.param(with_spaces(replace(STATE, device=1)), "on device 1", id="no-such-device"),
        pytest.param(with_spaces(arena=WEIGHTS), "two spaces lie in one file", id="a-file-twice"),
        pytest.param(
            with_spaces(state=replace(STATE, alignment_bytes=4096)),
            "offset 256 is not a multiple of 4096",
            id="coarser-alignment",
        ),
        pytest.param(
            with_spaces(state=replace(STATE, size_bytes=4864)),
            "ends at byte 6400 of state",
            id="state-too-small",
        ),
        pytest.param(
            with_spaces(replace(WEIGHTS, size_bytes=2559)),
            "ends at byte 2560 of weights",
            id="weights-too-small",
        ),
        pytest.param(
            with_spaces(arena=replace(ARENA, size_bytes=255)),
            "ends at byte 256 of arena",
            id="arena-of-the-chunk",
        ),
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
        pytest.param(with_outputs((ROUTER, 0)), "lacks the output hidden", id="no-hidden"),
        pytest.param(
            with_outputs((HIDDEN_OUT, -1), (HIDDEN_OUT, -1)), "hidden is bound twice", id="twice"
        ),
        pytest.param(
            with_decode(inputs=(Binding(tensor=IDS),)),
            "decode lacks the input positions",
            id="no-positions",
        ),
        pytest.param(
            with_outputs((HIDDEN_OUT, -1), (CACHE, 0)),
            "decode has the output cache of layer 0",
            id="unknown-output",
        ),
        pytest.param(
            with_outputs((HIDDEN_OUT, -1)),
            "prefill has the output expert indices of layer 0",
            id="routers-differ",
        ),
        pytest.param(
            with_outputs((HIDDEN_OUT, -1), (ROUTER, 1)),
            "prefill has the output expert indices of layer 0",
            id="layers-differ",
        ),
        pytest.param(
            with_outputs((HIDDEN_OUT, -1), (ROUTER, 1), (ROUTER, 0)),
            "routers of decode are not in the order",
            id="layers-out-of-order",
        ),
        pytest.param(
            with_tensor(IDS, tensor(Use.ARENA, 0, DType.I64, -1, role=Role.TOKEN_IDS)),
            "not in the state",
            id="ids-in-the-arena",
        ),
        pytest.param(
            with_tensor(HIDDEN_IN, tensor(Use.STATE, 0, DType.F32, -1, 15, role=Role.HIDDEN)),
            "hidden of head has shape",
            id="head-of-another-width",
        ),
        pytest.param(
            with_tensor(HIDDEN_OUT, tensor(Use.STATE, 0, DType.F32, 24, 16, role=Role.HIDDEN)),
            "hidden of decode has shape",
            id="hidden-without-rows",
        ),
        pytest.param(
            with_tensor(HIDDEN_OUT, tensor(Use.STATE, 0, DType.F32, 1, -1, role=Role.HIDDEN)),
            "has -1 columns",
            id="hidden-across",
        ),
        pytest.param(
            with_tensor(0, tensor(Use.WEIGHTS, 0, DType.F32, 40, 16)),
            "role OTHER is in the wrong space",
            id="weights-of-another-role",
        ),
        pytest.param(
            with_tensor(8, tensor(Use.ARENA, 0, DType.F32, -1, 16, role=Role.WEIGHTS)),
            "role WEIGHTS is in the wrong space",
            id="weights-elsewhere",
        ),
        pytest.param(
            with_tensor(8, tensor(Use.ARENA, 0, DType.F32, -1, 16, role=Role.CACHE)),
            "is a cache and not in a state",
            id="cache-in-the-arena",
        ),
    ],
)
def test_a_plan_that_the_runtime_could_not_run_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        make_plan(**changes)
