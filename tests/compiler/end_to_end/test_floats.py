"""Checkpoints in float16, float32 and mixtures, against transformers in float32."""

import numpy as np
import pytest
from click.testing import CliRunner

from compiled import Build, require_a_way_to_run, token_by_token
from model_shapes import FLOATS
from ossc.compiler.backends.cpu.backend import BACKEND, CpuBackend
from ossc.compiler.cli import main
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.order import Order
from ossc.compiler.pipeline import compile_model, quantized_model
from ossc.compiler.quantization.plan import load_plan, presets
from ossc.compiler.recipe import Recipe
from ossc.compiler.verify import verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.run import run_bundle
from ossc.runtimes.run_report import RunOptions
from ossc.targets.errors import QuantizationError
from synthetic import SyntheticShape, make_checkpoint
from tolerances import BUNDLE_LOGITS
from transformers_model import load_float32, reference_logits

MIXED, MIXED_FLOATS = FLOATS["every-tensor-another"]

MATRICES = {
    "f16": {"f16"},
    "mxfp4-beside-f16": {"mxfp4", "f16"},
    "every-tensor-another": {"bf16", "f16", "f32"},
}
"""The schemes of the matrices that the preset ``none`` keeps; of the other mixtures the graph is
compared (test_export.py), because compiling one takes a quarter of a minute."""


def build(name: str, **fields: object) -> Build:
    experts, floats = FLOATS[name]
    return Build(experts=experts, floats=floats, **fields)


@pytest.mark.parametrize("name", MATRICES)
def test_every_position_has_the_logits_of_transformers(compiled, name):
    model = compiled(build(name))
    ids = model.token_ids()
    expected = reference_logits(load_float32(model.source), ids)
    with model.session() as session:
        prefill = session.prefill(ids, all_logits=True)
        session.reset()
        decode = token_by_token(session, ids)
    for actual in (prefill, decode):
        difference = np.abs(actual - expected).max(axis=1) / np.abs(expected).max(axis=1)
        assert difference.max() <= BUNDLE_LOGITS
    assert verify_against(Bundle.open(model.bundle), model.model).holds
    schemes = set(Manifest.read(model.bundle).quantization.tensors.values())
    assert schemes - {"float32", "int64"} == MATRICES[name]


def test_a_quantized_mixture_holds(compiled):
    model = compiled(build("every-tensor-another", quant="default"))
    assert verify_against(Bundle.open(model.bundle), model.model).holds


@pytest.mark.emulated
def test_a_portable_target_generates_the_same_tokens(compiled):
    """test_targets.py does so with prompts of more than a chunk; here each product counts."""
    target = "cpu:aarch64"
    require_a_way_to_run(target)
    here = compiled(build("every-tensor-another"))
    portable = compiled(build("every-tensor-another", target=target))
    prompt, options = here.token_ids(20), RunOptions(max_new_tokens=8)
    expected = run_bundle(here.bundle, prompt, options)
    assert run_bundle(portable.bundle, prompt, options).token_ids == expected.token_ids


@pytest.mark.parametrize("quant", presets())
def test_every_preset_has_kernels_for_every_float_type(tmp_path, quant):
    source = SourceModel.open(make_checkpoint(tmp_path, experts=MIXED, floats=MIXED_FLOATS))
    plan = load_plan(quant)
    recipe = Recipe(model=tmp_path, target="cpu:x86-64-v3", quant=quant)
    options = Order.of(recipe).options(source.config)
    lowered = BACKEND.lower(quantized_model(source, plan), options)
    routers = {name: w.scheme for name, w in lowered.weights.items() if "router.weight" in name}
    assert list(routers.values()) == ["f16", "f32"]  # no preset changes them
    down = lowered.weights[next(name for name in lowered.weights if _is_down(name))]
    assert down.scheme == {"none": "f32", "default": "mxfp4", "small": "mxfp4"}.get(quant, quant)


def _is_down(name):
    """Whether a packed weight is the down projection of the experts of layer 1."""
    return "layers.1.mlp.experts.down_proj" in name and not name.endswith((".table", "_bias"))


TO_BF16 = '[schemes]\nexperts = "bf16"\ndense = "bf16"\nhead = "bf16"'


@pytest.mark.parametrize(
    ("floats", "notes"),
    [
        pytest.param((), [], id="bf16"),
        pytest.param((("*norm*", "F32"), ("*router*", "F32"), ("*bias", "F16")), [], id="small"),
        pytest.param(
            (("*", "F32"),),
            [
                "Note: Values were rounded in 2 dense matrices (to bf16), 2 experts matrices (to "
                "bf16), 1 head matrix (to bf16); as-stored in a plan, or --quant none, keeps them."
            ],
            id="f32",
        ),
    ],
)
def test_what_a_plan_rounds_is_said_once(tmp_path, monkeypatch, floats, notes):
    monkeypatch.setattr(CpuBackend, "emit", lambda *_: None)  # the weights are packed still
    shape = SyntheticShape(num_hidden_layers=1)
    model = make_checkpoint(tmp_path / "model", shape, experts="bf16", floats=floats)
    plan = tmp_path / "plan.toml"
    plan.write_text(TO_BF16)
    command = ["compile", str(model), "--quant", str(plan), "--out", str(tmp_path / "bundle")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert [line for line in result.stderr.splitlines() if "rounded" in line] == notes


def test_what_a_plans_float_type_cannot_hold_is_refused(tmp_path, monkeypatch):
    shape = SyntheticShape(num_hidden_layers=1)
    floats = (("lm_head*", "F32"),)
    make_checkpoint(tmp_path / "model", shape, experts="bf16", floats=floats)
    file = tmp_path / "model" / "model.safetensors"
    entry = SourceModel.open(tmp_path / "model").checkpoint.tensors["lm_head.weight"]
    data = bytearray(file.read_bytes())
    data[entry.offset_bytes : entry.offset_bytes + 4] = np.float32(1e5).tobytes()
    file.write_bytes(data)
    monkeypatch.setattr(CpuBackend, "emit", lambda *_: None)
    plan = tmp_path / "plan.toml"
    plan.write_text('[schemes]\nhead = "f16"')
    out = tmp_path / "bundle"
    with pytest.raises(QuantizationError, match=r"lm_head.*f16 weights must be finite.*as-stored"):
        compile_model(Recipe(model=tmp_path / "model", quant=str(plan), out=out))
    assert not out.exists()
