"""StackExperts."""

import numpy as np
import onnx_ir as ir
import pytest

from family_models import CASES
from onnx_graphs import node_named, op_types
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.stack_experts import StackExperts

IDS = list(range(9))
GATES = "model.layers.1.block_sparse_moe.experts.w1"


@pytest.fixture
def source(tmp_path) -> SourceModel:
    return SourceModel.open(CASES["mixtral-33"].make(tmp_path))


def test_experts_that_are_stored_one_by_one_become_one_weight(source):
    model = source.export()
    before = reference_logits(model, IDS).logits
    assert op_types(model)["Concat"] > 6
    assert StackExperts()(model).modified
    assert op_types(model)["Concat"] == 1  # the shape of the logits
    weight = node_named(model, GATES).inputs[2].const_value
    assert weight.shape == (33, 64, 64)
    for expert in (0, 7, 32):
        name = f"model.layers.1.block_sparse_moe.experts.{expert}.w1.weight"
        stored = source.checkpoint.tensor(name)
        np.testing.assert_array_equal(read_rows(weight, expert, expert + 1)[0], stored)
    np.testing.assert_array_equal(reference_logits(model, IDS).logits, before)


def test_experts_of_which_one_is_computed_are_left(source):
    model = source.export()
    linear = node_named(model, GATES)
    concat = linear.inputs[2].producer().inputs[0].producer()
    negated = ir.node("Neg", [concat.inputs[3]])
    model.graph.insert_before(concat, negated)
    concat.replace_input_with(3, negated.outputs[0])
    StackExperts()(model)
    assert node_named(model, GATES).inputs[2].producer().op_type == "Reshape"
