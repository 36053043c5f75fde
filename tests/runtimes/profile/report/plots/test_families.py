"""Families of operations."""

import pytest

from ossc.runtimes.profile.report.plots.families import family


@pytest.mark.parametrize(
    ("operation", "name"),
    [
        ("expert_swiglu", "experts"),
        ("expert_linear", "experts"),
        ("linear", "linear"),
        ("sink_attention", "attention"),
        ("attention", "attention"),
        ("expert_glu", "experts"),
        ("linear_glu", "linear"),
        ("router_top_k", "routing"),
        ("combine_experts", "routing"),
        ("group_by_expert", "routing"),
        ("quantize_activations", "small"),
        ("what_comes_next", "small"),
    ],
)
def test_an_operation_belongs_to_the_family_of_its_first_word(operation, name):
    assert family(operation) == name
