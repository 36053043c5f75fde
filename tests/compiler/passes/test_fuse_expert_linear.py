"""FuseExpertLinear."""

import ml_dtypes
import numpy as np
import pytest

from kernel_operands import random_parts
from onnx_graphs import edited, op_types, parse_model, random_f32, run_model
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.passes.fuse_expert_linear import FuseExpertLinear

BFloat16 = ml_dtypes.bfloat16
FEEDS = {"x": random_f32(3, 2, 64), "indices": np.array([[0, 2], [1, 1], [2, 0]])}
BIAS = random_f32(3, 5, seed=1).astype(BFloat16)
MXFP4 = """(float[T, 2, 64] x, int64[T, 2] indices) => (float[T, 2, 5] y) {
    chosen_blocks = Gather <axis = 0> (down_blocks, indices)
    chosen_scales = Gather <axis = 0> (down_scales, indices)
    matrix = ossc.Mxfp4Dequantize (chosen_blocks, chosen_scales)
    last = Constant <value_ints = [-1]> ()
    column = Unsqueeze (x, last)
    product = MatMul (matrix, column)
    flat = Squeeze (product, last)
    chosen_bias = Gather <axis = 0> (down_bias, indices)
    wide_bias = Cast <to = 1> (chosen_bias)
    y = Add (flat, wide_bias)
}"""
FLOAT = """(float[T, 2, 64] x, int64[T, 2] indices) => (float[T, 2, 5] y) {
    chosen = Gather <axis = 0> (down, indices)
    matrix = Cast <to = 1> (chosen)
    axis = Constant <value_ints = [2]> ()
    row = Unsqueeze (x, axis)
    product = MatMul (row, matrix)
    flat = Squeeze (product, axis)
    chosen_bias = Gather <axis = 0> (down_bias, indices)
    wide_bias = Cast <to = 1> (chosen_bias)
    y = Add (flat, wide_bias)
}"""


def mxfp4_model(text: str = MXFP4, bias: np.ndarray = BIAS):
    blocks, scales = random_parts("mxfp4", (3, 5, 64))
    return parse_model(text, down_blocks=blocks, down_scales=scales, down_bias=bias)


def float_model(text: str = FLOAT, dtype: type = BFloat16):
    return parse_model(text, down=random_f32(3, 64, 5).astype(dtype), down_bias=BIAS)


@pytest.mark.parametrize("bias", [BFloat16, np.float16, np.float32])
def test_mxfp4_blocks_are_passed_on_as_they_are(bias):
    model = mxfp4_model(bias=BIAS.astype(bias))
    stored = model.graph.initializers
    tensors = [stored[name].const_value for name in ("down_blocks", "down_scales")]
    (before,) = run_model(model, **FEEDS)
    assert FuseExpertLinear()(model).modified
    assert op_types(model) == {"Mxfp4ExpertLinear": 1}
    node = model.graph[0]
    assert node.name == "down"
    assert [value.const_value for value in node.inputs[2:4]] == tensors
    assert node.outputs[0].shape == ["tokens", 2, 5]
    np.testing.assert_allclose(run_model(model, **FEEDS)[0], before, rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "prefix"),
    [(ml_dtypes.bfloat16, "Bf16"), (np.float16, "F16"), (np.float32, "F32")],
)
def test_matrices_of_floats_are_transposed_when_they_are_read(dtype, prefix):
    model = float_model(dtype=dtype)
    stored = model.graph.initializers["down"].const_value.numpy()
    (before,) = run_model(model, **FEEDS)
    assert FuseExpertLinear()(model).modified
    assert op_types(model) == {f"{prefix}ExpertLinear": 1}
    assert set(model.graph.initializers) == {"down.weight", "down_bias"}
    weight = model.graph[0].inputs[2].const_value
    assert weight.shape == [3, 5, 64]
    np.testing.assert_array_equal(read_rows(weight, 1, 2), stored[1:2].swapaxes(1, 2))
    np.testing.assert_allclose(run_model(model, **FEEDS)[0], before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(mxfp4_model(bias=BIAS.astype(np.float64)), id="bias-of-float64"),
        pytest.param(float_model(dtype=np.float64), id="float64"),
        pytest.param(float_model(edited(FLOAT, ("= [2]", "= [1]"))), id="other-axis"),
        pytest.param(
            float_model(
                edited(FLOAT, ("(chosen)", "(x2)"), ("matrix =", "x2 = Neg (chosen) matrix ="))
            ),
            id="computed",
        ),
        pytest.param(
            mxfp4_model(
                edited(
                    MXFP4,
                    ("chosen_scales =", "others = Neg (indices) chosen_scales ="),
                    ("(down_scales, indices)", "(down_scales, others)"),
                )
            ),
            id="scales-of-other-experts",
        ),
    ],
)
def test_other_products_are_left(model):
    assert not FuseExpertLinear()(model).modified
