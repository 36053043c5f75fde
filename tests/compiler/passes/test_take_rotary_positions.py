"""TakeRotaryPositions."""

import numpy as np
import onnx_ir as ir
import pytest

from onnx_graphs import export_tiny
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.take_rotary_positions import TakeRotaryPositions
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from synthetic import make_checkpoint
from tolerances import PASS_LOGITS

IDS = list(range(20, 32))


@pytest.fixture
def model(tmp_path) -> ir.Model:
    return quantized_model(SourceModel.open(make_checkpoint(tmp_path)), load_plan("none"))


def test_only_attention_still_reads_the_positions_that_masks_count(model):
    assert TakeRotaryPositions()(model).modified
    inputs = {value.name: value for value in model.graph.inputs}
    readers = {user.op_type for user, _ in inputs["position_ids"].uses()}
    assert readers == {"RopeAttention"}
    assert inputs["rotary_position_ids"].shape == inputs["position_ids"].shape
    assert len(inputs["rotary_position_ids"].uses()) == 1


def test_with_the_same_positions_a_model_computes_the_same(model):
    expected = reference_logits(model, IDS)
    TakeRotaryPositions()(model)
    actual = reference_logits(model, IDS, tokens_a_run=5, rotary_positions=range(len(IDS)))
    np.testing.assert_allclose(actual.logits, expected.logits, rtol=0, atol=PASS_LOGITS)


def test_only_the_distance_of_positions_matters_and_a_gap_is_seen(model):
    expected = reference_logits(model, IDS).logits
    TakeRotaryPositions()(model)
    moved = reference_logits(model, IDS, rotary_positions=range(7, 7 + len(IDS))).logits
    np.testing.assert_allclose(moved, expected, rtol=0, atol=10 * PASS_LOGITS)
    apart = reference_logits(model, IDS, rotary_positions=[*range(6), *range(100, 106)]).logits
    np.testing.assert_allclose(apart[:6], expected[:6], rtol=0, atol=PASS_LOGITS)
    assert np.abs(apart[6:] - expected[6:]).max() > 0.1


def test_a_graph_without_rotary_embedding_is_left(tmp_path):
    model = export_tiny(tmp_path)
    positions = next(value for value in model.graph.inputs if value.name == "position_ids")
    for user, at in tuple(positions.uses()):
        user.replace_input_with(at, None)
    assert not TakeRotaryPositions()(model).modified
