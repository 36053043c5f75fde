"""The table of efficiencies, and how one is chosen for a call."""

from dataclasses import replace

import pytest

from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.profile.prediction.efficiency import (
    Efficiencies,
    Efficiency,
    find_efficiencies,
    share_of_single_tokens,
)
from ossc.targets import all_targets
from ossc.targets.errors import TargetError, UnknownNameError

DENSE = KernelCost(
    operation="linear",
    scheme="mxfp4",
    arithmetic="int8",
    bytes=Work(fixed=1),
    operations=Work(per_token=1),
)
EXPERTS = replace(DENSE, operation="expert_linear", experts=32, experts_per_tok=4)
ENTRY = Efficiency(
    operation="linear", scheme="mxfp4", arithmetic="int8", memory=0.9, token=0.25, chunk=0.5
)


@pytest.mark.parametrize(
    ("cost", "tokens", "experts", "share"),
    [
        pytest.param(DENSE, 1, None, 1, id="one-token"),
        pytest.param(DENSE, 6, None, 0.25, id="a-quarter"),
        pytest.param(DENSE, 150, None, 0.01, id="chunk"),
        pytest.param(EXPERTS, 1, 4, 1, id="one-token-an-expert"),
        pytest.param(EXPERTS, 48, 32, 0.25, id="six-tokens-an-expert"),
        pytest.param(EXPERTS, 6, 4, 0.25, id="all-tokens-agree"),
    ],
)
def test_tokens_that_share_a_weight_fill_tiles(cost, tokens, experts, share):
    assert share_of_single_tokens(cost, cost.call(tokens, 0, experts)) == pytest.approx(share)


def test_single_tokens_take_the_time_of_single_tokens():
    share = ENTRY.share(DENSE, DENSE.call(6, 0))
    assert 1 / share == pytest.approx(0.25 / 0.25 + 0.75 / 0.5)


def test_the_entry_of_another_kind_is_not_taken():
    table = Efficiencies("avx2", [ENTRY])
    assert table.of(DENSE) == ENTRY
    with pytest.raises(TargetError, match="linear mxfp4 int8x2 was never measured for avx2"):
        table.of(replace(DENSE, arithmetic="int8x2"))


def mixed(scheme: str) -> KernelCost:
    return replace(EXPERTS, operation="expert_linear", scheme=scheme, arithmetic="int8x2")


def test_experts_in_several_schemes_are_as_slow_as_the_slowest_that_computes_alike():
    table = find_efficiencies("avx2")
    both = table.of(mixed("mxfp4+int8-g32"))
    each = [table.of(mixed(scheme)) for scheme in ("mxfp4", "int8-g32")]
    assert both.kind == ("expert_linear", "mxfp4+int8-g32", "int8x2")
    assert both.memory == min(entry.memory for entry in each)
    assert both.token == min(entry.token for entry in each)
    assert both.chunk == min(entry.chunk for entry in each)
    with_floats = table.of(mixed("mxfp4+bf16"))
    assert with_floats.chunk == each[0].chunk


@pytest.mark.parametrize("scheme", ["mxfp4+int3", "int3+bf16"])
def test_of_several_schemes_each_has_to_be_measured(scheme):
    with pytest.raises(TargetError, match="expert_linear int3 int8x2 was never measured"):
        find_efficiencies("avx2").of(mixed(scheme))


@pytest.mark.parametrize(
    ("operation", "measured", "scheme", "arithmetic"),
    [
        ("linear_glu", "linear", "int8-g32", "int8x2"),
        ("expert_glu", "expert_swiglu", "mxfp4", "int8x2"),
        ("attention", "sink_attention", "f16", "f32"),
    ],
)
def test_operations_that_do_the_same_to_every_byte_share_an_entry(
    operation, measured, scheme, arithmetic
):
    cost = replace(DENSE, operation=operation, scheme=scheme, arithmetic=arithmetic)
    table = find_efficiencies("avx2")
    assert table.of(cost) == table.of(replace(cost, operation=measured))
    own = replace(ENTRY, operation=operation, scheme=scheme, arithmetic=arithmetic)
    assert Efficiencies("avx2", [*table.entries, own]).of(cost) == own


def test_an_instruction_set_that_was_never_measured_is_named():
    with pytest.raises(UnknownNameError, match="avx2"):
        find_efficiencies("avx3")


def test_a_further_instruction_set_has_the_targets_own_kernels_of_what_it_does_not_make_faster():
    own, further = find_efficiencies("avx2"), find_efficiencies("avx_vnni")
    faster, shared = (
        replace(EXPERTS, scheme=scheme, arithmetic=arithmetic)
        for scheme, arithmetic in (("mxfp4", "int8x2"), ("bf16", "f32"))
    )
    assert further.of(shared) == own.of(shared)
    assert further.of(faster) != own.of(faster)


@pytest.mark.parametrize("isa", ["avx512_vnni", "avx_vnni", "avx2"])
def test_measured_shares_are_shares(isa):
    entries = list(find_efficiencies(isa).entries)
    assert entries
    for entry in entries:
        assert 0 < entry.memory < 1.5, entry  # a loop without prefetch is slower than a kernel
        assert 0 < entry.token < 1.5, entry
        assert 0 < entry.chunk < 1.5, entry  # int8x2 may be one product of 16 bits


def test_the_kernels_of_every_recorded_roofline_were_measured():
    for target in all_targets():
        if target.roofline is not None:
            find_efficiencies(target.roofline.isa)
