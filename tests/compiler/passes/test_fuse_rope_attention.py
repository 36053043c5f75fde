"""FuseRopeAttention."""

import numpy as np
import onnx_ir as ir
import pytest

from family_models import CASES
from onnx_graphs import export_tiny, node_named, op_types
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.fuse_rope_attention import FuseRopeAttention
from ossc.compiler.passes.merge_qkv import MergeQkv
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS

IDS = list(range(9))
ATTENTION = "model.layers.0.self_attn"


@pytest.fixture
def model(tmp_path) -> ir.Model:
    shape = SyntheticShape(num_hidden_layers=2, sliding_window=4)
    return MergeQkv()(export_tiny(tmp_path, shape)).model


def test_rotation_and_attention_become_one_node_that_keeps_the_attributes(model):
    before = reference_logits(model, IDS, tokens_a_run=4).logits
    given = dict(node_named(model, ATTENTION).attributes)
    assert FuseRopeAttention()(model).modified
    fused = node_named(model, ATTENTION)
    assert dict(fused.attributes) == given
    assert given["window"].as_int() == 4
    assert op_types(model)["RopeAttention[sinks]"] == 2
    assert not {"Rope", "Split", "Attention[sinks]"} & op_types(model).keys()
    after = reference_logits(model, IDS, tokens_a_run=4).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def test_what_scales_the_queries_stays(tmp_path):
    source = SourceModel.open(CASES["ministral3"].make(tmp_path))
    model = MergeQkv()(source.export()).model
    before = reference_logits(model, IDS).logits
    FuseRopeAttention()(model)
    assert op_types(model)["RopeAttention[query_scale]"] == 2
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def rope_of(model: ir.Model, name: str) -> ir.Node:
    return node_named(model, f"{ATTENTION}.{name}")


def test_different_angles_are_left(model):
    rope = rope_of(model, "k_rope")
    negated = ir.node("Neg", [rope.inputs[1]])
    model.graph.insert_before(rope, negated)
    rope.replace_input_with(1, negated.outputs[0])
    FuseRopeAttention()(model)
    assert node_named(model, ATTENTION).op_type == "Attention"


@pytest.mark.parametrize("port", [0, 1, 2])
def test_an_input_that_is_no_column_of_the_product_is_left(model, port):
    attention = node_named(model, ATTENTION)
    negated = ir.node("Neg", [attention.inputs[port]])
    model.graph.insert_before(attention, negated)
    attention.replace_input_with(port, negated.outputs[0])
    FuseRopeAttention()(model)
    assert node_named(model, ATTENTION).op_type == "Attention"


def test_columns_in_another_order_are_left(model):
    query, key = rope_of(model, "q_rope"), rope_of(model, "k_rope")
    first, second = query.inputs[0], key.inputs[0]
    query.replace_input_with(0, second)
    key.replace_input_with(0, first)
    FuseRopeAttention()(model)
    assert node_named(model, ATTENTION).op_type == "Attention"


def test_projections_that_were_not_merged_are_left(tmp_path):
    assert not FuseRopeAttention()(export_tiny(tmp_path)).modified
