"""FuseAddRmsNorm."""

import ml_dtypes
import numpy as np
import pytest

from onnx_graphs import edited, op_types, parse_model, random_f32, run_model
from ossc.compiler.passes.fuse_add_rms_norm import FuseAddRmsNorm

WEIGHT = random_f32(6).astype(ml_dtypes.bfloat16)
FEEDS = {"x": random_f32(3, 6, seed=1), "residual": random_f32(3, 6, seed=2)}
NORM = """(float[T, 6] x, float[T, 6] residual) => (float[T, 6] y, float[T, 6] z) {
    sum = Add (x, residual)
    y = ossc.RmsNorm[] <epsilon = 0.25> (sum, norm__weight)
    z = Exp (sum)
}"""


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float32])
def test_a_sum_and_its_norm_become_one_node_that_returns_both(dtype):
    model = parse_model(NORM, norm__weight=random_f32(6).astype(dtype))
    model.graph[1].name = "norm"
    before = run_model(model, **FEEDS)
    assert FuseAddRmsNorm()(model).modified
    assert op_types(model) == {"AddRmsNorm": 1, "Exp": 1}
    node = model.graph[0]
    assert node.name == "norm"
    assert node.attributes["epsilon"].as_float() == 0.25
    assert node.outputs[0].shape == ["T", 6]
    for old, new in zip(before, run_model(model, **FEEDS), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-6)


def test_a_sum_that_is_a_graph_output_keeps_its_name():
    text = edited(NORM, ("z = Exp (sum)", ""), (" z)", " sum)"))
    model = parse_model(text, norm__weight=WEIGHT)
    before = run_model(model, **FEEDS)
    FuseAddRmsNorm()(model)
    assert [value.name for value in model.graph.outputs] == ["y", "sum"]
    for old, new in zip(before, run_model(model, **FEEDS), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-6)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("(sum, norm", "(x, norm", id="no-sum"),
        pytest.param("Add (x, residual)", "Add (x, bias)", id="a-bias"),
        pytest.param("Add (x, residual)", "Sub (x, residual)", id="a-difference"),
    ],
)
def test_other_norms_are_left(old, new):
    model = parse_model(edited(NORM, (old, new)), norm__weight=WEIGHT, bias=random_f32(6))
    assert not FuseAddRmsNorm()(model).modified
