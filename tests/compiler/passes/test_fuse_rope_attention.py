"""FuseRopeAttention."""

import numpy as np
import onnx_ir as ir
import pytest

from onnx_graphs import export_tiny, op_types
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.fuse_linear import FuseLinear
from ossc.compiler.passes.fuse_qkv import FuseQkv
from ossc.compiler.passes.fuse_rope_attention import FuseRopeAttention
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS

SHAPE = SyntheticShape(num_attention_heads=6, num_key_value_heads=2, head_dim=10, sliding_window=4)
IDS = list(range(9))
GONE = ("Attention", "RotaryEmbedding", "Split", "Where", "Pad", "Range", "LessOrEqual", "Shape")


def ready_model(path, shape: SyntheticShape = SHAPE) -> ir.Model:
    return FuseQkv()(FuseLinear()(export_tiny(path, shape))).model


def test_each_layer_becomes_one_node_with_its_window(tmp_path):
    model = ready_model(tmp_path)
    before = reference_logits(model, IDS, tokens_a_run=5).logits
    assert FuseRopeAttention()(model).modified
    nodes = [node for node in model.graph if node.op_type == "SinkAttention"]
    assert [node.name for node in nodes] == [f"model.layers.{i}.self_attn" for i in (0, 1)]
    assert [node.attributes["window"].as_int() for node in nodes] == [4, 0]
    for node in nodes:
        sizes = [node.attributes[n].as_int() for n in ("num_heads", "num_kv_heads", "head_dim")]
        assert sizes == [6, 2, 10]
        assert node.attributes["scale"].as_float() == 10**-0.5
        assert node.outputs[0].shape == ["tokens", 60]
    rest = op_types(model)
    assert [name for name in GONE if rest[name] > (name == "Shape")] == []  # one for the logits
    after = reference_logits(model, IDS, tokens_a_run=5).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def test_the_cache_keeps_its_names(tmp_path):
    model = ready_model(tmp_path)
    names = [value.name for value in model.graph.outputs]
    FuseRopeAttention()(model)
    assert [value.name for value in model.graph.outputs] == names
    node = next(node for node in model.graph if node.op_type == "SinkAttention")
    assert [value.name for value in node.outputs[1:]] == ["present.0.key", "present.0.value"]


def replace_constant(model: ir.Model, op_type: str, index: int, values: list[int] | int) -> None:
    """Give an input of the first node of this type other integers."""
    node = next(node for node in model.graph if node.op_type == op_type)
    tensor = ir.Tensor(np.array(values, np.int64), name=f"other_{op_type}")
    value = ir.Value(name=tensor.name, const_value=tensor)
    model.graph.register_initializer(value)
    node.replace_input_with(index, value)


@pytest.fixture
def one_layer(tmp_path) -> ir.Model:
    return ready_model(tmp_path, SyntheticShape(num_hidden_layers=1))


def test_the_model_of_the_next_tests_is_fused_without_their_change(one_layer):
    assert FuseRopeAttention()(one_layer).modified


@pytest.mark.parametrize(
    ("old", "new"), [("LessOrEqual", "Less"), ("Greater", "GreaterOrEqual"), ("And", "Or")]
)
def test_another_mask_is_left(one_layer, old, new):
    next(node for node in one_layer.graph if node.op_type == old).op_type = new
    assert not FuseRopeAttention()(one_layer).modified


def test_columns_that_are_not_the_heads_are_left(one_layer):
    replace_constant(one_layer, "Split", 1, [64, 128, 64])
    assert not FuseRopeAttention()(one_layer).modified


def test_other_padding_is_left(one_layer):
    replace_constant(one_layer, "Pad", 1, [0, 0, 2, 0, 0, 0, 0, 0])
    assert not FuseRopeAttention()(one_layer).modified


def test_attention_without_rotation_is_left(one_layer):
    node = next(node for node in one_layer.graph if node.op_type == "RotaryEmbedding")
    ir.convenience.replace_all_uses_with(node.outputs[0], node.inputs[0])
    assert not FuseRopeAttention()(one_layer).modified
