"""SelectRowsBeforeHead."""

import numpy as np
import onnx_ir as ir
import pytest

from onnx_graphs import export_tiny, node_named, op_types
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.session import ort_session
from ossc.compiler.passes.select_rows_before_head import SelectRowsBeforeHead

IDS = list(range(20, 29))


@pytest.fixture
def model(tmp_path) -> ir.Model:
    return export_tiny(tmp_path)


def test_the_head_computes_the_rows_that_are_asked_for(model):
    expected = reference_logits(model, IDS).logits
    assert SelectRowsBeforeHead()(model).modified
    assert model.graph.outputs[0].name == "logits"
    assert model.graph.outputs[0].shape == ["rows", 512]
    rows = np.array([8, 0, 8])
    empty = np.zeros((1, 2, 0, 32), np.float32)
    feeds = {
        "input_ids": np.array([IDS]),
        "position_ids": np.arange(len(IDS))[None],
        "row_indices": rows,
        **{f"past_key_values.{i}.{kind}": empty for i in (0, 1) for kind in ("key", "value")},
    }
    (logits,) = ort_session(model).run(["logits"], feeds)
    np.testing.assert_allclose(logits, expected[rows], rtol=1e-6, atol=1e-6)


def test_the_rows_are_gathered_between_the_norm_and_the_head(model):
    reshapes = op_types(model)["Reshape"]
    SelectRowsBeforeHead()(model)
    head = model.graph.outputs[0].producer()
    assert head.overload == "bf16"
    gather = head.inputs[0].producer()
    assert gather.op_type == "Gather"
    assert gather.inputs[0].producer().op_type == "RmsNorm"
    assert gather.inputs[1].name == "row_indices"
    assert op_types(model)["Reshape"] == reshapes - 1


def test_the_reference_session_asks_for_all_rows(model):
    expected = reference_logits(model, IDS).logits
    SelectRowsBeforeHead()(model)
    actual = reference_logits(model, IDS, tokens_a_run=4).logits
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_rows_are_selected_once(model):
    SelectRowsBeforeHead()(model)
    assert not SelectRowsBeforeHead()(model).modified


def test_logits_that_are_no_product_are_left(tmp_path):
    model = export_tiny(tmp_path)
    head = node_named(model, "lm_head")
    (reshape,) = {usage.node for usage in head.outputs[0].uses()}
    negated = ir.node("Neg", [head.outputs[0]])
    model.graph.insert_after(head, negated)
    reshape.replace_input_with(0, negated.outputs[0])
    assert not SelectRowsBeforeHead()(model).modified
