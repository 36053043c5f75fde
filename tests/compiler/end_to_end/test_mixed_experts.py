"""Bundles whose experts are in several schemes, against transformers and against their graphs."""

import contextlib
import shutil

import numpy as np
import pytest
import torch
import transformers
from click.testing import CliRunner
from numpy.typing import NDArray

from compiled import Build, token_by_token
from family_models import CASES
from operations.dequantized import dequantized
from ossc.compiler.cli import main
from ossc.compiler.estimate import estimate
from ossc.compiler.pipeline import compile_model
from ossc.compiler.quantization import find_scheme
from ossc.compiler.recipe import Recipe
from ossc.compiler.verify import verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import WEIGHTS_NAME, ExpertsScheme, Manifest
from ossc.runtimes.plan import Role
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError
from synthetic import make_checkpoint
from tolerances import BUNDLE_LOGITS
from transformers_model import load_float32, reference_logits

RULES = """
[[rules]]
match = "experts"
experts = [1, "3-3"]
scheme = "int4-g32"
[[rules]]
match = "*.down_proj"
experts = [0]
scheme = "bf16"
[[rules]]
match = "model.layers.1.*"
experts = [3]
scheme = "as-stored"
"""

IN_INT4 = ((1, 3), (1,))
"""The experts of each layer that the rules put into int4-g32."""

AS_STORED = f"""
activations = "f32"
[schemes]
experts = "as-stored"
dense = "as-stored"
embedding = "as-stored"
head = "as-stored"
{RULES}
"""

EXACT = Build(quant=AS_STORED)
INTEGERS = Build(quant=f'activations = "int8x2"\n{RULES}')


def int4(matrix: NDArray[np.float32]) -> torch.Tensor:
    """Return what the int4-g32 codes of a matrix ``[N, K]`` stand for."""
    codes = find_scheme("int4-g32").quantize(np.ascontiguousarray(matrix))
    return torch.from_numpy(dequantized("int4-g32", codes).astype(np.float32))


def quantize_experts(layers, *, transposed: bool) -> None:
    """Put the experts of a model of transformers into int4-g32 that the rules do."""
    with torch.no_grad():
        for layer, experts in zip(layers, IN_INT4, strict=True):
            for weight in (layer.mlp.experts.gate_up_proj, layer.mlp.experts.down_proj):
                for expert in experts:
                    matrix = weight[expert].T if transposed else weight[expert]
                    values = int4(matrix.numpy())
                    weight[expert] = values.T if transposed else values


def distances(actual: NDArray, expected: NDArray) -> NDArray:
    return np.abs(actual - expected).max(axis=1) / np.abs(expected).max(axis=1)


def test_gpt_oss_computes_what_transformers_computes_of_the_same_experts(compiled):
    model = compiled(EXACT)
    ids = model.token_ids(200)
    reference = load_float32(model.source)
    stored = reference_logits(reference, ids)
    quantize_experts(reference.model.layers, transposed=True)
    expected = reference_logits(reference, ids)
    assert distances(stored, expected).max() > 100 * BUNDLE_LOGITS
    with model.session() as session:
        prefill = session.prefill(ids, all_logits=True)
        session.reset()
        decode = token_by_token(session, ids[:40])
    assert distances(prefill, expected).max() <= BUNDLE_LOGITS
    assert distances(decode, expected[:40]).max() <= BUNDLE_LOGITS


@pytest.mark.parametrize("build", [EXACT, INTEGERS], ids=["f32", "int8x2"])
def test_it_computes_what_its_graph_computes(compiled, build):
    """The plan, with its rules for experts, is read back from the manifest."""
    model = compiled(build)
    assert verify_against(Bundle.open(model.bundle), model.model).holds


def test_mixtral_computes_what_transformers_computes_of_the_same_experts(tmp_path, backend):
    folder = CASES["mixtral"].make(tmp_path / "model")
    plan = tmp_path / "plan.toml"
    plan.write_text(AS_STORED.replace("*.down_proj", "*.w2"))
    bundle = compile_model(
        Recipe(
            model=folder,
            quant=str(plan),
            context=64,
            prefill_chunk=16,
            instruction_sets=(),
            out=tmp_path / "bundle",
        ),
        backend=backend,
    )
    assert verify_against(Bundle.open(bundle), folder).holds
    reference = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype="float32", attn_implementation="eager", experts_implementation="eager"
    )
    quantize_experts(reference.model.layers, transposed=False)
    ids = np.random.default_rng(0).integers(0, 200, 40).tolist()
    with torch.no_grad():
        expected = reference(torch.tensor([ids]), use_cache=False).logits[0].numpy()
    with Session(bundle, threads=2) as session:
        prompt = session.prefill(ids[:30], all_logits=True)
        actual = np.concatenate([prompt, *(session.decode(token)[None] for token in ids[30:])])
    assert distances(actual, expected).max() <= BUNDLE_LOGITS


def test_the_manifest_and_inspect_say_which_experts_are_in_which_scheme(compiled):
    model = compiled(EXACT)
    quantization = Manifest.read(model.bundle).quantization
    assert quantization.tensors["model.layers.1.mlp.experts.down_proj"] == (
        ExpertsScheme(experts=(2, 3), scheme="mxfp4"),
        ExpertsScheme(experts=(1,), scheme="int4-g32"),
        ExpertsScheme(experts=(0,), scheme="bf16"),
    )
    assert [rule.experts for rule in quantization.rules] == [None] * 4 + [(1, 3), (0,), (3,)]
    shown = CliRunner().invoke(main, ["inspect", str(model.bundle)])
    assert shown.exit_code == 0, shown.output
    assert "experts (experts 1, 3) int4-g32, *.down_proj (experts 0) bf16" in shown.stdout
    assert "model.layers.1.* (experts 3) as-stored" in shown.stdout
    assert "2 mxfp4+int4-g32, 2 mxfp4+int4-g32+bf16" in shown.stdout


def test_sizes_and_speed_are_known_before_it_is_compiled(compiled):
    model = compiled(INTEGERS)
    estimated = estimate(model.recipe())
    assert estimated.memory == Manifest.read(model.bundle).memory
    if estimated.target == "cpu:x86-64-v3":  # whose kernels were measured
        assert estimated.speed is not None


def test_layers_that_are_divided_otherwise_share_their_kernels(compiled):
    kernels = Manifest.read(compiled(EXACT).bundle).kernels
    mixed = [cost for cost in kernels.values() if cost.scheme and "+" in cost.scheme]
    assert len(mixed) == 4  # two products, of one token and of a chunk


def test_a_profile_is_predicted_and_names_the_schemes(compiled):
    predict = ["--predict", "--target", "cpu:x86-64-v3"]
    done = CliRunner().invoke(main, ["profile", str(compiled(INTEGERS).bundle), *predict])
    assert done.exit_code == 0, done.output
    assert "expert_swiglu_mxfp4_int4mg32" in done.stdout


@pytest.mark.parametrize("value", [-1, 1, 1 << 40])
def test_a_damaged_table_of_schemes_is_no_way_out_of_the_weights(compiled, tmp_path, value):
    """The runtime does not hash what it maps."""
    model = compiled(INTEGERS)
    bundle = Bundle.open(shutil.copytree(model.bundle, tmp_path / "bundle"))
    tables = {
        (each.offset_bytes, each.shape)
        for each in bundle.plan.tensors
        if each.role == Role.EXPERT_OFFSETS
    }
    assert {shape for _, shape in tables} == {(4, 2)}
    with (bundle.path / WEIGHTS_NAME).open("r+b") as weights:
        for offset, _ in tables:
            weights.seek(offset)
            weights.write(np.full((4, 2), value, "<i8").tobytes())
    ids = model.token_ids(40)
    with Session(bundle.path, threads=2) as session:
        for run in (lambda: session.prefill(ids), lambda: session.decode(ids[0])):
            with contextlib.suppress(SessionError):  # codes read as floats may be no numbers
                assert run().shape == (model.build.shape.vocab_size,)
        assert session.position in (0, 1, 40, 41)


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        (
            RULES.replace("3-3", "3-9"),
            "names expert 9, and model.layers.0.mlp.experts.gate_up_proj",
        ),
        (
            RULES.replace("*.down_proj", "*.router"),
            "The pattern '*.router' of the plan plan matches",
        ),
    ],
)
def test_a_rule_for_what_is_not_there_ends_the_compilation(tmp_path, rules, refusal):
    model, plan = make_checkpoint(tmp_path / "model"), tmp_path / "plan.toml"
    plan.write_text(rules)
    run = CliRunner().invoke(main, ["compile", str(model), "--quant", str(plan), "--dry-run"])
    assert run.exit_code != 0
    assert refusal in run.stderr.replace("\n", " ")
    assert "Traceback" not in run.stderr
