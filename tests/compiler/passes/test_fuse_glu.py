"""FuseGlu."""

import numpy as np
import onnx_ir as ir
import pytest

from family_models import CASES
from onnx_graphs import export_tiny, node_named, op_types
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.fuse_glu import FuseGlu
from ossc.compiler.passes.merge_gate_up import MergeGateUp
from ossc.compiler.passes.stack_experts import StackExperts
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS

IDS = list(range(9))
EXPERTS = "model.layers.0.mlp.experts"


@pytest.fixture
def model(tmp_path) -> ir.Model:
    return export_tiny(tmp_path, SyntheticShape(swiglu_limit=0.75, num_hidden_layers=1))


def test_the_experts_product_and_its_activation_become_one_node(model):
    before = reference_logits(model, IDS).logits
    assert FuseGlu()(model).modified
    fused = node_named(model, f"{EXPERTS}.gate_up_proj")
    assert fused.op_identifier() == ("ossc", "ExpertGlu", "mxfp4,swiglu_oss,bias")
    assert fused.attributes["limit"].as_float() == 0.75
    assert fused.outputs[0].shape == ["tokens", 2, 96]
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


@pytest.mark.parametrize("name", ["llama-biases", "llama-linear-gelu", "mixtral"])
def test_so_do_those_of_other_families(tmp_path, name):
    model = SourceModel.open(CASES[name].make(tmp_path)).export()
    model = MergeGateUp()(StackExperts()(model).model).model
    before = reference_logits(model, IDS).logits
    assert FuseGlu()(model).modified
    assert not any(each.startswith("Glu") for each in op_types(model))
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=PASS_LOGITS)


def test_gates_and_ups_that_are_two_values_are_left(tmp_path):
    model = SourceModel.open(CASES["llama-tied"].make(tmp_path)).export()
    assert not FuseGlu()(model).modified


def test_a_product_that_others_read_too_is_left(model):
    product = node_named(model, f"{EXPERTS}.gate_up_proj").outputs[0]
    copy = ir.node("Identity", [product], name="copy")
    model.graph.insert_after(product.producer(), copy)
    copy.outputs[0].name = "copied"
    model.graph.outputs.append(copy.outputs[0])
    assert not FuseGlu()(model).modified


def test_the_activation_of_something_else_is_left(model):
    glu = node_named(model, f"{EXPERTS}.act_fn")
    negated = ir.node("Neg", [glu.inputs[0]])
    model.graph.insert_before(glu, negated)
    glu.replace_input_with(0, negated.outputs[0])
    assert not FuseGlu()(model).modified


def test_experts_that_read_a_vector_each_are_left(model):
    down, glu = node_named(model, f"{EXPERTS}.down_proj"), node_named(model, f"{EXPERTS}.act_fn")
    again = ir.node(
        "Glu", [down.outputs[0]], dict(glu.attributes), domain="ossc", overload="swiglu_oss"
    )
    model.graph.insert_after(down, again)
    FuseGlu()(model)
    assert node_named(model, f"{EXPERTS}.down_proj").op_type == "ExpertLinear"
