"""FuseLinear."""

import ml_dtypes
import numpy as np
import pytest

from onnx_graphs import op_types, parse_model, random_f32, run_model
from ossc.compiler.passes.fuse_linear import FuseLinear

BFloat16 = ml_dtypes.bfloat16
WEIGHT = random_f32(4, 3).astype(BFloat16)
BIAS = random_f32(4, seed=1).astype(BFloat16)
X = random_f32(2, 3, seed=2)

LINEAR = """(float[T, 3] x) => (float[T, 4] y) {
    wide = Cast <to = 1> (proj__weight)
    columns = Transpose <perm = [1, 0]> (wide)
    product = MatMul (x, columns)
    wide_bias = Cast <to = 1> (proj__bias)
    y = Add (product, wide_bias)
}"""
MAT_MUL = """(float[T, 3] x) => (float[T, 4] y) {
    wide = Cast <to = 1> (proj__weight)
    columns = Transpose <perm = [1, 0]> (wide)
    y = MatMul (x, columns)
}"""


@pytest.mark.parametrize(
    ("dtype", "prefix"),
    [(ml_dtypes.bfloat16, "Bf16"), (np.float16, "F16"), (np.float32, "F32")],
)
def test_a_product_with_a_bias_becomes_linear(dtype, prefix):
    model = parse_model(LINEAR, proj__weight=WEIGHT.astype(dtype), proj__bias=BIAS)
    (before,) = run_model(model, x=X)
    assert FuseLinear()(model).modified
    assert op_types(model) == {f"{prefix}Linear": 1}
    node = model.graph[0]
    assert node.name == "proj"
    assert [value.name for value in node.inputs] == ["x", "proj.weight", "proj.bias"]
    assert node.outputs[0].shape == ["tokens", 4]
    assert [value.name for value in model.graph.outputs] == ["y"]
    np.testing.assert_allclose(run_model(model, x=X)[0], before, rtol=1e-6)


def test_a_product_without_a_bias_becomes_mat_mul():
    model = parse_model(MAT_MUL, proj__weight=WEIGHT)
    (before,) = run_model(model, x=X)
    assert FuseLinear()(model).modified
    assert op_types(model) == {"Bf16MatMul": 1}
    np.testing.assert_allclose(run_model(model, x=X)[0], before, rtol=1e-6)


def test_a_second_run_changes_nothing():
    model = parse_model(LINEAR, proj__weight=WEIGHT, proj__bias=BIAS)
    FuseLinear()(model)
    assert not FuseLinear()(model).modified


def test_a_weight_that_two_products_share_is_fused_twice():
    model = parse_model("""(float[T, 3] x) => (float[T, 4] y, float[T, 4] z) {
        wide = Cast <to = 1> (proj__weight)
        columns = Transpose <perm = [1, 0]> (wide)
        y = MatMul (x, columns)
        x2 = Exp (x)
        z = MatMul (x2, columns)
    }""", proj__weight=WEIGHT)  # fmt: skip
    before = run_model(model, x=X)
    FuseLinear()(model)
    assert op_types(model) == {"Bf16MatMul": 2, "Exp": 1}
    for old, new in zip(before, run_model(model, x=X), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_bias_may_be_of_another_float_type_than_the_weight(dtype):
    bias = random_f32(4, seed=1).astype(dtype)
    model = parse_model(LINEAR, proj__weight=WEIGHT, proj__bias=bias)
    (before,) = run_model(model, x=X)
    assert FuseLinear()(model).modified
    assert op_types(model) == {"Bf16Linear": 1}
    np.testing.assert_allclose(run_model(model, x=X)[0], before, rtol=1e-6)


def test_a_weight_of_float64_is_left():
    model = parse_model(MAT_MUL, proj__weight=WEIGHT.astype(np.float64))
    assert not FuseLinear()(model).modified


def test_a_float32_weight_that_is_not_cast_is_left():
    text = MAT_MUL.replace("Cast <to = 1>", "Identity")
    model = parse_model(text, proj__weight=WEIGHT.astype(np.float32))
    assert not FuseLinear()(model).modified


def test_a_computed_weight_is_left():
    model = parse_model("""(float[T, 3] x, bfloat16[4, 3] weight) => (float[T, 4] y) {
        wide = Cast <to = 1> (weight)
        columns = Transpose <perm = [1, 0]> (wide)
        y = MatMul (x, columns)
    }""")
    assert not FuseLinear()(model).modified


def test_a_bias_that_is_no_vector_of_the_columns_stays_an_addition():
    model = parse_model(LINEAR, proj__weight=WEIGHT, proj__bias=BIAS[:1])
    (before,) = run_model(model, x=X)
    FuseLinear()(model)
    assert op_types(model) == {"Bf16MatMul": 1, "Cast": 1, "Add": 1}
    np.testing.assert_allclose(run_model(model, x=X)[0], before, rtol=1e-6)


def test_a_product_that_others_read_before_the_bias_stays_a_product():
    model = parse_model(
        LINEAR.replace("(float[T, 4] y)", "(float[T, 4] y, float[T, 4] product)"),
        proj__weight=WEIGHT,
        proj__bias=BIAS,
    )
    FuseLinear()(model)
    assert op_types(model) == {"Bf16MatMul": 1, "Cast": 1, "Add": 1}
    assert [value.name for value in model.graph.outputs] == ["y", "product"]
