"""The GPUs' kernels as WGSL: one node through lowering, and its steps run in a browser.

A browser on the CPU builds a kernel in seconds, so some of the cases are here; the tests of OpenCL
have all of them.
"""

import pytest

import chromium
from operations.cases import CASES
from operations.node_comparison import compare, compare_over_cache, options
from operations.test_cpu import CACHES, STEPS
from operations.web_device import Web
from web_server import web_site

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.slow,
    pytest.mark.skipif(chromium.EXECUTABLE is None, reason="chromium is not installed"),
]

CHOSEN = (
    "AddRmsNorm/-/44/f32",
    "CombineExperts/-/4x44/f32",
    "Embedding/int4-g32/13x70/f32",
    "Embedding/mxfp4/13x96/f32",
    "ExpertGlu/mxfp4,silu/3of33x2·13x96/bf16",
    "ExpertLinear/int8-g32/3of33x10x33/f16",
    "ExpertLinear/mxfp4,bias/3of33x10x96/bf16",
    "Linear/bf16,bias/10x33/f32",
    "Linear/f16/17x96/f16",
    "Linear/f32,bias/10x40/bf16",
    "Linear/int4-g32/17x70/f32",
    "Linear/int8-g32,bias/10x96/f16",
    "Linear/mxfp4/17x32/bf16",
    "LinearGlu/bf16,gelu,bias/2·13x33/f16",
    "LinearGlu/bf16,gelu_tanh,bias/2·13x33/f16",
    "LinearGlu/bf16,silu/2·13x33/f32",
    "LinearGlu/bf16,swiglu_oss,bias/2·13x33/f32",
    "RmsNorm/-/44/f32",
    "Router/bias/3of33/f32",
)
"""Every operation that GPUs have, every scheme, and every activation."""

OVER_CACHES = {parameters.values[1]: parameters.values[0] for parameters in CACHES}
"""A case for each type of caches."""


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A browser that runs kernels."""
    with web_site(tmp_path_factory.mktemp("chromium")) as site:
        yield Web(site.open())


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.id in CHOSEN], ids=lambda case: case.id
)
def test_a_node_computes_its_operation_in_a_browser(web, case):
    compare(case, device=web)


@pytest.mark.parametrize("kv", OVER_CACHES)
def test_attention_sees_the_cache_in_a_browser(web, kv):
    compare_over_cache(OVER_CACHES[kv], options(kv=kv), STEPS, web)


def test_every_chosen_case_is_there():
    assert set(CHOSEN) <= {case.id for case in CASES}
