"""FuseQkv."""

import numpy as np
import onnx_ir as ir
import pytest

from onnx_graphs import export_tiny, op_types
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.fuse_linear import FuseLinear
from ossc.compiler.passes.fuse_qkv import FuseQkv
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS

SHAPE = SyntheticShape(num_hidden_layers=1, num_attention_heads=3, num_key_value_heads=1)
IDS = list(range(9))
PREFIX = "model.layers.0.self_attn"


@pytest.fixture
def model(tmp_path) -> ir.Model:
    return FuseLinear()(export_tiny(tmp_path, SHAPE)).model


def node_named(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.name == name)


def test_three_projections_become_one_product_and_a_split(model):
    before, linears = reference_logits(model, IDS).logits, op_types(model)["Bf16Linear"]
    assert FuseQkv()(model).modified
    assert op_types(model)["Bf16Linear"] == linears - 2
    merged = node_named(model, f"{PREFIX}.qkv_proj")
    (split,) = {usage.node for usage in merged.outputs[0].uses()}
    assert split.op_type == "Split"
    assert split.inputs[1].const_value.numpy().tolist() == [96, 32, 32]
    assert merged.outputs[0].shape == ["tokens", 160]
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def test_the_matrices_lie_one_below_the_other(model):
    parts = [
        [node_named(model, f"{PREFIX}.{name}").inputs[i].const_value.numpy() for i in (1, 2)]
        for name in ("q_proj", "k_proj", "v_proj")
    ]
    FuseQkv()(model)
    _, weight, bias = node_named(model, f"{PREFIX}.qkv_proj").inputs
    for value, old in zip((weight, bias), zip(*parts, strict=True), strict=True):
        expected = np.concatenate(old)
        assert read_rows(value.const_value, 0, 160).tobytes() == expected.tobytes()
    assert weight.name == f"{PREFIX}.qkv_proj.weight"
    assert bias.name == f"{PREFIX}.qkv_proj.bias"
    assert f"{PREFIX}.q_proj.weight" not in model.graph.initializers


def test_projections_of_different_values_are_left(model):
    key = node_named(model, f"{PREFIX}.k_proj")
    negated = ir.node("Neg", [key.inputs[0]])
    model.graph.insert_before(key, negated)
    key.replace_input_with(0, negated.outputs[0])
    assert not FuseQkv()(model).modified


def test_projections_of_different_float_types_are_put_together_in_float32(tmp_path):
    floats = (("*q_proj.weight", "F32"), ("*k_proj*", "F16"))
    model = FuseLinear()(export_tiny(tmp_path, SHAPE, floats=floats)).model
    parts = [
        [node_named(model, f"{PREFIX}.{name}").inputs[i].const_value.numpy() for i in (1, 2)]
        for name in ("q_proj", "k_proj", "v_proj")
    ]
    before = reference_logits(model, IDS).logits
    assert FuseQkv()(model).modified
    merged = node_named(model, f"{PREFIX}.qkv_proj")
    assert merged.op_type == "F32Linear"
    for value, old in zip(merged.inputs[1:], zip(*parts, strict=True), strict=True):
        expected = np.concatenate([each.astype(np.float32) for each in old])
        assert value.dtype == ir.DataType.FLOAT
        assert read_rows(value.const_value, 0, 160).tobytes() == expected.tobytes()
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def test_projections_in_different_schemes_are_left(model):
    node_named(model, f"{PREFIX}.k_proj").op_type = "Int8G32Linear"
    assert not FuseQkv()(model).modified


def test_an_attention_whose_key_is_no_projection_is_left(model):
    key = node_named(model, f"{PREFIX}.k_proj")
    (reshape,) = {usage.node for usage in key.outputs[0].uses()}
    negated = ir.node("Neg", [key.outputs[0]])
    model.graph.insert_after(key, negated)
    reshape.replace_input_with(0, negated.outputs[0])
    assert not FuseQkv()(model).modified
