"""The GPUs' kernels as WGSL: one node through lowering, and its steps run in a browser.

A browser on the CPU builds a kernel in seconds, so some of the cases are here; the tests of OpenCL
have all of them.
"""

import numpy as np
import pytest

import chromium
from operations.cases import CASES
from operations.node_comparison import compare, compare_over_cache, options
from operations.test_cpu import CACHES, STEPS
from operations.web_device import Web
from ossc.compiler.backends.webgpu.wgsl import with_angles
from ossc.runtimes.plan import ONE_GROUP, Groups
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


MODULE = """
@group(0) @binding(0) var<storage, read> x : array<f32>;
@group(0) @binding(1) var<storage, read_write> y : array<f32>;
struct Scalars {{ last : u32 }}
@group(0) @binding(2) var<uniform> scalars : Scalars;
@compute @workgroup_size(1)
fn {name}(@builtin(workgroup_id) id : vec3<u32>, @builtin(num_workgroups) grid : vec3<u32>) {{
  let group = id.z * grid.x + id.x;
  if (group > scalars.last) {{ return; }}
  y[group] = {value};
}}
"""


def computed(web, name, x, value):
    """The value of each group; it may use ``x``, ``y`` and ``group``."""
    y = np.full(len(x), -1, np.float32)
    source = with_angles(MODULE.format(name=name, value=value))
    web.launch(name, source, [x, y], (Groups(fixed=len(x)), ONE_GROUP, ONE_GROUP), False, 1)
    return y


@pytest.mark.parametrize(("name", "exact"), [("sin", np.sin), ("cos", np.cos)])
@pytest.mark.parametrize(("largest", "error"), [(8, 2e-7), (131072, 4e-6)])
def test_angles_are_as_exact_as_float32(web, name, exact, largest, error):
    x = np.random.default_rng(0).uniform(-largest, largest, 4000).astype(np.float32)
    x[:5] = 0, np.pi / 4, np.pi / 2, np.pi, -np.pi
    y = computed(web, f"test_{name}", x, f"{name}(x[group])")
    assert np.abs(y - exact(x.astype(np.float64))).max() <= error


@pytest.mark.parametrize("groups", [65535, 65536, 70001])
def test_every_group_of_a_large_grid_runs_once(web, groups):
    x = np.arange(groups, dtype=np.float32)
    y = computed(web, "test_groups", x, "y[group] + x[group] + 1.0")
    np.testing.assert_array_equal(y, x)
