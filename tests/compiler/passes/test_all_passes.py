"""The passes one after the other, on models of every shape."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from model_shapes import MODELS
from onnx_graphs import export_tiny, op_types
from ossc.compiler.checkpoint import views as tensors
from ossc.compiler.checkpoint.views import SlicedTensor
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.save import save_model
from ossc.compiler.passes import quantize_weights
from ossc.compiler.passes.quantize_weights import QuantizeWeights
from ossc.compiler.pipeline import fusion_passes
from ossc.compiler.quantization.plan import load_plan
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS

STANDARD = {"Cast": 1, "Unsqueeze": 1, "Cos": 1, "Sin": 1, "Reshape": 1, "Gather": 1}
"""What is left of the standard operators, besides `Mul`: angles, the ids, the rows."""


def unused(shape: SyntheticShape, experts: str) -> set[str]:
    """Return the passes that have nothing to do: gpt-oss stacks its experts, gates beside ups."""
    always = {"ShareTiedWeights", "StackExperts", "MergeGateUp"}
    return always | ({"TransposeExperts"} if experts == "mxfp4" else set())


@pytest.mark.parametrize(("shape", "experts"), MODELS)
def test_every_pass_keeps_the_logits(tmp_path, shape, experts):
    model = export_tiny(tmp_path, shape, experts)
    ids = np.random.default_rng(0).integers(0, shape.vocab_size, 12).tolist()
    expected = reference_logits(model, ids, tokens_a_run=7)
    for each in fusion_passes():
        assert each(model).modified == (type(each).__name__ not in unused(shape, experts)), each
        actual = reference_logits(model, ids, tokens_a_run=7)
        np.testing.assert_allclose(
            actual.logits, expected.logits, rtol=0, atol=PASS_LOGITS, err_msg=str(each)
        )
        np.testing.assert_array_equal(actual.router_indices, expected.router_indices)


@pytest.mark.parametrize(("shape", "experts"), MODELS)
def test_the_result_is_exactly_the_nodes_of_the_dialect(tmp_path, shape, experts):
    model = export_tiny(tmp_path, shape, experts)
    for each in fusion_passes():
        each(model)
    n = shape.num_hidden_layers
    scheme = "mxfp4" if experts == "mxfp4" else "bf16"
    scaled = shape.rope_factor != 1  # then cos and sin are multiplied by YaRN's attention factor
    assert op_types(model) == STANDARD | {
        "Mul": 3 if scaled else 1,
        "Embedding[bf16]": 1,
        "RmsNorm": 1,
        "Linear[bf16,bias]": 2 * n,
        "Linear[bf16]": 1,
        "RopeAttention[sinks]": n,
        "AddRmsNorm": 2 * n,
        "Router[bias]": n,
        f"ExpertGlu[{scheme},swiglu_oss,bias]": n,
        f"ExpertLinear[{scheme},bias]": n,
        "CombineExperts": n,
    }
    used = {value.name for node in model.graph for value in node.inputs if value is not None}
    assert set(model.graph.initializers) <= used
    assert len({node.name for node in model.graph}) == len(model.graph)


@pytest.mark.parametrize("preset", ["none", "default"])
@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_every_stage_is_a_valid_model(tmp_path, preset, experts):
    model = export_tiny(tmp_path, experts=experts)
    for each in [*fusion_passes(), QuantizeWeights(load_plan(preset))]:
        each(model)
        save_model(model, tmp_path / "model.onnx")
        onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)


@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_no_pass_reads_a_weight(tmp_path, monkeypatch, experts):
    def refuse(*arguments: object) -> None:
        raise AssertionError("a weight was read")

    model = export_tiny(tmp_path, experts=experts)
    for reader in (SlicedTensor, ir.ExternalTensor):
        monkeypatch.setattr(reader, "numpy", refuse)
        monkeypatch.setattr(reader, "tobytes", refuse)
    monkeypatch.setattr(tensors, "read_rows", refuse)
    monkeypatch.setattr(quantize_weights, "read_rows", refuse)
    for each in [*fusion_passes(), QuantizeWeights(load_plan("default"))]:
        each(model)


def test_a_second_round_changes_nothing(tmp_path):
    model = export_tiny(tmp_path)
    for each in fusion_passes():
        each(model)
    assert [each for each in fusion_passes() if each(model).modified] == []
