"""TakeRouting."""

import numpy as np
import onnx_ir as ir
import pytest

from family_models import CASES
from onnx_graphs import op_types
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.take_routing import TakeRouting
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from synthetic import make_checkpoint
from tolerances import PASS_LOGITS

IDS = list(range(20, 32))


@pytest.fixture
def model(tmp_path) -> ir.Model:
    return quantized_model(SourceModel.open(make_checkpoint(tmp_path)), load_plan("none"))


def test_what_reads_a_routers_choice_reads_the_input_instead(model):
    own = {value.name: value for value in model.graph.outputs if "router" in value.name}
    assert TakeRouting()(model).modified
    assert op_types(model)["GivenExperts[bias]"] == 2
    inputs = {value.name: value for value in model.graph.inputs}
    for layer in range(2):
        given = inputs[f"chosen_experts.{layer}"]
        assert {user.op_type for user, _ in given.uses()} == {
            "ExpertGlu",
            "ExpertLinear",
            "GivenExperts",
        }
        choice = own[f"router_indices.{layer}"]
        assert choice.is_graph_output()
        assert [user.op_type for user, _ in choice.uses()] == ["GivenExperts"]


def test_with_its_own_choice_a_model_computes_the_same(model):
    expected = reference_logits(model, IDS)
    TakeRouting()(model)
    actual = reference_logits(model, IDS, tokens_a_run=5, chosen_experts=expected.router_indices)
    np.testing.assert_allclose(actual.logits, expected.logits, rtol=0, atol=PASS_LOGITS)
    np.testing.assert_array_equal(actual.router_indices, expected.router_indices)
    np.testing.assert_array_equal(actual.router_shortfall, np.zeros((2, len(IDS))))


def test_another_choice_is_followed_and_falls_short(model):
    own = reference_logits(model, IDS)
    routing = own.router_indices.copy()
    rest = [sorted({0, 1, 2, 3} - set(row)) for row in routing[0]]
    routing[0, 4:] = np.array(rest)[4:]
    TakeRouting()(model)
    actual = reference_logits(model, IDS, chosen_experts=routing)
    np.testing.assert_array_equal(actual.router_indices[0], own.router_indices[0])
    assert (actual.router_shortfall[0, :4] == 0).all()
    assert (actual.router_shortfall[0, 4:] > 0).all()
    difference = np.abs(actual.logits - own.logits).max(axis=1)
    assert difference[:4].max() <= PASS_LOGITS < 0.1 < difference[4:].min()


def test_the_order_of_the_experts_does_not_matter(model):
    own = reference_logits(model, IDS)
    TakeRouting()(model)
    actual = reference_logits(model, IDS, chosen_experts=own.router_indices[:, :, ::-1])
    np.testing.assert_allclose(actual.logits, own.logits, rtol=0, atol=PASS_LOGITS)
    assert (actual.router_shortfall == 0).all()


def test_a_graph_without_routers_is_left(tmp_path):
    model = SourceModel.open(CASES["llama-tied"].make(tmp_path)).export()
    assert not TakeRouting()(model).modified
