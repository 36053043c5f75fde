"""MergeGateUp."""

import numpy as np
import onnx_ir as ir
import pytest

from family_models import CASES, FamilyModel
from onnx_graphs import node_named, op_types
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.merge_gate_up import MergeGateUp
from ossc.compiler.passes.stack_experts import StackExperts

IDS = list(range(9))
MLP = "model.layers.0.mlp"


def exported(folder, case: FamilyModel) -> ir.Model:
    return StackExperts()(SourceModel.open(case.make(folder)).export()).model


@pytest.mark.parametrize("name", ["llama-tied", "llama-biases", "mixtral", "mixtral-33"])
def test_gates_and_ups_become_one_product_and_the_logits_stay(tmp_path, name):
    model = exported(tmp_path, CASES[name])
    before = reference_logits(model, IDS).logits
    assert MergeGateUp()(model).modified
    assert not any("up" in overload for overload in op_types(model) if overload.startswith("Glu"))
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_the_rows_of_a_dense_matrix_alternate(tmp_path):
    model = exported(tmp_path, CASES["llama-tied"])
    gate, up = (node_named(model, f"{MLP}.{n}_proj").inputs[1].const_value for n in ("gate", "up"))
    MergeGateUp()(model)
    merged = node_named(model, f"{MLP}.gate_up_proj").inputs[1].const_value
    whole = merged.numpy()
    np.testing.assert_array_equal(whole[0::2], gate.numpy())
    np.testing.assert_array_equal(whole[1::2], up.numpy())
    for begin, end in ((0, 1), (1, 2), (3, 8), (4, 9), (190, 192)):
        assert read_rows(merged, begin, end).tobytes() == whole[begin:end].tobytes()


def test_the_rows_of_every_expert_alternate(tmp_path):
    model = exported(tmp_path, CASES["mixtral"])
    experts = "model.layers.0.block_sparse_moe.experts"
    gate, up = (node_named(model, f"{experts}.{n}").inputs[2].const_value for n in ("w1", "w3"))
    MergeGateUp()(model)
    merged = node_named(model, f"{experts}.gate_up_proj").inputs[2].const_value
    np.testing.assert_array_equal(merged.numpy()[:, 0::2], gate.numpy())
    np.testing.assert_array_equal(merged.numpy()[:, 1::2], up.numpy())
    assert read_rows(merged, 3, 5).tobytes() == merged.numpy()[3:5].tobytes()


def test_projections_of_different_float_types_are_put_together_in_float32(tmp_path):
    model = exported(tmp_path, CASES["llama-tied"])
    up = node_named(model, f"{MLP}.up_proj")
    values = up.inputs[1].const_value.numpy().astype(np.float16)
    up.inputs[1].const_value = ir.Tensor(values, name=up.inputs[1].name)
    up.inputs[1].dtype = ir.DataType.FLOAT16
    up.overload = "f16"
    MergeGateUp()(model)
    merged = node_named(model, f"{MLP}.gate_up_proj")
    assert merged.overload == "f32"
    whole = merged.inputs[1].const_value.numpy()
    np.testing.assert_array_equal(whole[1::2], values.astype(np.float32))


@pytest.mark.parametrize("projection", ["gate_proj", "up_proj"])
def test_projections_of_different_values_are_left(tmp_path, projection):
    model = exported(tmp_path, CASES["mistral-window"])
    linear = node_named(model, f"{MLP}.{projection}")
    negated = ir.node("Neg", [linear.inputs[0]])
    model.graph.insert_before(linear, negated)
    linear.replace_input_with(0, negated.outputs[0])
    MergeGateUp()(model)
    assert node_named(model, f"{MLP}.{projection}") is linear


def test_a_gate_that_already_holds_its_ups_is_left(tmp_path):
    model = exported(tmp_path, CASES["llama-tied"])
    MergeGateUp()(model)
    assert not MergeGateUp()(model).modified
