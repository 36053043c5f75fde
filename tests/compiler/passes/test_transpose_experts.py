"""TransposeExperts."""

import numpy as np
import pytest

from onnx_graphs import export_tiny, node_named, op_types
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.transpose_experts import TransposeExperts

IDS = list(range(9))
EXPERTS = "model.layers.0.mlp.experts.gate_up_proj"


def test_rows_come_first_and_the_logits_stay(tmp_path):
    model = export_tiny(tmp_path, experts="bf16")
    before = reference_logits(model, IDS).logits
    stored = node_named(model, EXPERTS).inputs[2].const_value.numpy()
    assert TransposeExperts()(model).modified
    assert op_types(model)["ExpertLinear[bf16,shared,bias]"] == 2
    assert op_types(model)["ExpertLinear[bf16,bias]"] == 2
    upright = node_named(model, EXPERTS).inputs[2]
    assert upright.name == f"{EXPERTS}.weight"
    np.testing.assert_array_equal(upright.const_value.numpy(), stored.swapaxes(1, 2))
    after = reference_logits(model, IDS).logits
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


def test_experts_with_their_rows_first_are_left(tmp_path):
    assert not TransposeExperts()(export_tiny(tmp_path, experts="mxfp4")).modified


@pytest.mark.parametrize("experts", ["bf16"])
def test_a_weight_that_is_computed_is_left(tmp_path, experts):
    model = export_tiny(tmp_path, experts=experts)
    for node in model.graph:
        if node.op_type == "ExpertLinear":
            node.inputs[2].const_value = None
    assert not TransposeExperts()(model).modified
