"""FuseExpertSwiGlu."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from kernel_operands import random_parts
from onnx_graphs import edited, op_types, parse_model, random_f32, run_model
from ossc.compiler.dialect import op_type
from ossc.compiler.passes.fuse_expert_swiglu import FuseExpertSwiGlu
from ossc.compiler.quantization import all_schemes, find_scheme

FEEDS = {"x": random_f32(3, 64), "indices": np.array([[0, 2], [1, 1], [2, 0]])}
SWIGLU = """(float[T, 64] x, int64[T, 2] indices) => (float[T, 2, 5] y) {
    token_axis = Constant <value_ints = [1]> ()
    one_for_all = Unsqueeze (x, token_axis)
    gate_up = ossc.LINEAR (one_for_all, indices, PARTS, bias)
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    end = Constant <value_ints = [9223372036854775807]> ()
    last = Constant <value_ints = [-1]> ()
    gate = Slice (gate_up, zero, end, last, two)
    up = Slice (gate_up, one, end, last, two)
    clamped_gate = Min (gate, limit)
    clamped_up = Clip (up, least, limit)
    swish = Swish <alpha = 1.5> (clamped_gate)
    unit = Constant <value = float {1}> ()
    scaled_up = Add (clamped_up, unit)
    y = Mul (scaled_up, swish)
}"""


def swiglu_model(text: str = SWIGLU, scheme: str = "mxfp4", least: float = -2.0) -> ir.Model:
    found = find_scheme(scheme)
    names = [part.name for part in found.parts]
    text = text.replace("LINEAR", op_type("ExpertLinear", found))
    model = parse_model(
        text.replace("PARTS", ", ".join(names)),
        bias=random_f32(3, 10, seed=1).astype(ml_dtypes.bfloat16),
        limit=np.array(2.0, np.float32),
        least=np.array(least, np.float32),
        **dict(zip(names, random_parts(scheme, (3, 10, 64)), strict=True)),
    )
    linear = next(node for node in model.graph if node.domain)
    linear.name = "gate_up_proj"
    linear.outputs[0].shape = ir.Shape(["T", 2, 10])
    return model


@pytest.mark.parametrize("scheme", [scheme.name for scheme in all_schemes()])
def test_a_product_and_its_activation_become_one_node(scheme):
    model = swiglu_model(scheme=scheme)
    (before,) = run_model(model, **FEEDS)
    assert FuseExpertSwiGlu()(model).modified
    assert op_types(model) == {op_type("ExpertSwiGlu", find_scheme(scheme)): 1}
    node = model.graph[0]
    assert node.name == "gate_up_proj"
    assert node.attributes["alpha"].as_float() == 1.5
    assert node.attributes["limit"].as_float() == 2.0
    assert node.outputs[0].shape == ["tokens", 2, 5]
    np.testing.assert_allclose(run_model(model, **FEEDS)[0], before, rtol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(swiglu_model(least=-3.0), id="limits-differ"),
        pytest.param(
            swiglu_model(edited(SWIGLU, ("(gate_up, one,", "(gate_up, two,"))), id="columns"
        ),
        pytest.param(
            swiglu_model(edited(SWIGLU, ("y)", "y, float[T, 2, 10] gate_up)"))), id="read"
        ),
        pytest.param(swiglu_model(edited(SWIGLU, ("float {1}", "float {0}"))), id="plain-swiglu"),
    ],
)
def test_other_activations_are_left(model):
    assert not FuseExpertSwiGlu()(model).modified
