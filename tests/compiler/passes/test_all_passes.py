"""The passes one after the other, on models of every shape."""

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from model_shapes import MODELS
from onnx_graphs import export_tiny, op_types
from ossc.compiler.checkpoint import views as tensors
from ossc.compiler.checkpoint.views import SlicedTensor
from ossc.compiler.export import save_model
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes import quantize_weights
from ossc.compiler.passes.quantize_weights import QuantizeWeights
from ossc.compiler.pipeline import fusion_passes
from ossc.compiler.quantization.plan import load_plan
from synthetic import SyntheticShape
from tolerances import PASS_LOGITS


def standard_operators(shape: SyntheticShape) -> Counter[str]:
    """Return what is left of the standard operators: angles, the ids, the first norm, the rows."""
    scaled = shape.rope_factor != 1  # then cos and sin are multiplied by YaRN's attention factor
    names = ("Cast", "Cast", "Unsqueeze", "Cos", "Sin", "Reshape", "RMSNormalization", "Gather")
    return Counter(names) + Counter({"Mul": 3 if scaled else 1})


@pytest.mark.parametrize(("shape", "experts"), MODELS)
def test_every_pass_keeps_the_logits(tmp_path, shape, experts):
    model = export_tiny(tmp_path, shape, experts)
    ids = np.random.default_rng(0).integers(0, shape.vocab_size, 12).tolist()
    expected = reference_logits(model, ids, tokens_a_run=7)
    for each in fusion_passes():
        assert each(model).modified, each
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
    prefix = "Mxfp4" if experts == "mxfp4" else "Bf16"
    assert op_types(model) == standard_operators(shape) + Counter(
        {
            "Bf16Embedding": 1,
            "Bf16Linear": 2 * n,
            "Bf16MatMul": 1,
            "SinkAttention": n,
            "AddRmsNorm": 2 * n,
            "Router": n,
            f"{prefix}ExpertSwiGlu": n,
            f"{prefix}ExpertLinear": n,
            "CombineExperts": n,
        }
    )
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
        assert each(model).modified


def test_a_second_round_changes_nothing(tmp_path):
    model = export_tiny(tmp_path)
    for each in fusion_passes():
        each(model)
    assert [each for each in fusion_passes() if each(model).modified] == []
