"""FuseCombineExperts."""

import ml_dtypes
import numpy as np

from onnx_graphs import edited, op_types, parse_model, random_f32, run_model
from ossc.compiler.passes.fuse_combine_experts import FuseCombineExperts

BFloat16 = ml_dtypes.bfloat16
FEEDS = {
    "x": random_f32(3, 2, 4),
    "indices": np.array([[0, 2], [1, 1], [2, 0]]),
    "weights": random_f32(3, 2, seed=1),
}
COMBINE = """(float[T, 2, 4] x, int64[T, 2] indices, float[T, 2] weights) => (float[T, 5] z) {
    y = ossc.Bf16ExpertLinear (x, indices, down__weight, down__bias)
    last_axis = Constant <value_ints = [-1]> ()
    slots = Constant <value_ints = [1]> ()
    column = Unsqueeze (weights, last_axis)
    weighted = Mul (y, column)
    z = ReduceSum <keepdims = 0> (weighted, slots)
}"""


def combine_model(text: str = COMBINE):
    model = parse_model(
        text,
        down__weight=random_f32(3, 5, 4).astype(BFloat16),
        down__bias=random_f32(3, 5, seed=1).astype(BFloat16),
    )
    linear = model.graph[0]
    linear.name = "experts.down_proj"
    linear.outputs[0].shape = type(model.graph.outputs[0].shape)(["T", 2, 5])
    return model


def test_the_weighted_sum_of_experts_becomes_one_node():
    model = combine_model()
    (before,) = run_model(model, **FEEDS)
    assert FuseCombineExperts()(model).modified
    assert op_types(model) == {"Bf16ExpertLinear": 1, "CombineExperts": 1}
    assert model.graph[-1].name == "experts"
    np.testing.assert_allclose(run_model(model, **FEEDS)[0], before, rtol=1e-6)


def test_a_weighted_sum_of_something_else_is_left():
    text = edited(COMBINE, ("column =", "other = Exp (y) column ="), ("Mul (y,", "Mul (other,"))
    model = combine_model(text)
    assert not FuseCombineExperts()(model).modified


def test_a_weighted_sum_of_another_operation_is_left():
    text = edited(
        COMBINE,
        ("(float[T, 2, 4] x,", "(float[T, 4] x,"),
        ("ossc.Bf16ExpertLinear", "ossc.Bf16ExpertSwiGlu <alpha = 1.0, limit = 1.0>"),
    )
    assert not FuseCombineExperts()(combine_model(text)).modified


def test_a_sum_over_another_axis_is_left():
    model = combine_model(edited(COMBINE, ("<value_ints = [1]>", "<value_ints = [0]>")))
    assert not FuseCombineExperts()(model).modified
