"""MergeQkv."""

import numpy as np
import onnx_ir as ir
import pytest

from onnx_graphs import export_tiny, node_named, op_types
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.dialect.call import as_call, rebuilt
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.base import register_initializer, replace_node
from ossc.compiler.passes.merge_qkv import MergeQkv
from ossc.compiler.passes.quantize_weights import convert
from ossc.compiler.quantization import bf16, int8_g32
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS

SHAPE = SyntheticShape(num_hidden_layers=1, num_attention_heads=3, num_key_value_heads=1)
IDS = list(range(9))
PREFIX = "model.layers.0.self_attn"


@pytest.fixture
def model(tmp_path) -> ir.Model:
    return export_tiny(tmp_path, SHAPE)


def test_three_projections_become_one_product_and_a_split(model):
    before, linears = reference_logits(model, IDS).logits, op_types(model)["Linear[bf16,bias]"]
    assert MergeQkv()(model).modified
    assert op_types(model)["Linear[bf16,bias]"] == linears - 2
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
    MergeQkv()(model)
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
    assert not MergeQkv()(model).modified


def test_projections_of_different_float_types_are_put_together_in_float32(tmp_path):
    floats = (("*q_proj.weight", "F32"), ("*k_proj*", "F16"))
    model = export_tiny(tmp_path, SHAPE, floats=floats)
    parts = [
        [node_named(model, f"{PREFIX}.{name}").inputs[i].const_value.numpy() for i in (1, 2)]
        for name in ("q_proj", "k_proj", "v_proj")
    ]
    before = reference_logits(model, IDS).logits
    assert MergeQkv()(model).modified
    merged = node_named(model, f"{PREFIX}.qkv_proj")
    assert merged.overload == "f32,bias"
    for value, old in zip(merged.inputs[1:], zip(*parts, strict=True), strict=True):
        expected = np.concatenate([each.astype(np.float32) for each in old])
        assert value.dtype == ir.DataType.FLOAT
        assert read_rows(value.const_value, 0, 160).tobytes() == expected.tobytes()
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def test_projections_in_different_schemes_are_left(model):
    key = node_named(model, f"{PREFIX}.k_proj")
    call = as_call(key)
    parts = convert(f"{PREFIX}.k_proj", [call.parts[0].const_value], bf16.SCHEME, int8_g32.SCHEME)
    values = [register_initializer(model.graph, part) for part in parts]
    replace_node(model.graph, key, rebuilt(call, weight=(int8_g32.SCHEME, values)))
    assert not MergeQkv()(model).modified


def test_projections_of_which_one_has_no_bias_are_left(model):
    key = node_named(model, f"{PREFIX}.k_proj")
    call = as_call(key)
    replace_node(model.graph, key, rebuilt(call, inputs={"x": call.input("x")}))
    assert not MergeQkv()(model).modified


def test_an_attention_whose_key_is_no_projection_is_left(model):
    key = node_named(model, f"{PREFIX}.k_proj")
    (rope,) = {usage.node for usage in key.outputs[0].uses()}
    negated = ir.node("Neg", [key.outputs[0]])
    model.graph.insert_after(key, negated)
    rope.replace_input_with(0, negated.outputs[0])
    assert not MergeQkv()(model).modified
