"""``ossc verify --against``: a bundle's numbers hold, and changed ones do not."""

import dataclasses
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from compiled import Build, Compiled
from ossc.compiler import verify_reading
from ossc.compiler.backends.cpu.backend import BACKEND
from ossc.compiler.bundle import file_entry
from ossc.compiler.cli import main
from ossc.compiler.families.fields import decoder
from ossc.compiler.lowering.shards import place_weights
from ossc.compiler.oracle import transformers_model as oracle_transformers
from ossc.compiler.oracle.reference import ReferenceOutputs
from ossc.compiler.order import Order
from ossc.compiler.recipe import Recipe
from ossc.compiler.verify import compare, verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import WEIGHTS_NAME
from synthetic import SyntheticShape, make_checkpoint

CHANGED = [
    "model.layers.0.input_layernorm",
    "model.layers.0.self_attn.qkv_proj",
    "model.layers.0.self_attn.sinks",
    "model.layers.1.self_attn.o_proj",
    "model.layers.1.mlp.router.bias",
    "model.layers.1.mlp.experts.gate_up_proj",
    "model.layers.1.mlp.experts.down_proj",
    "lm_head",
]


def weight_offset(model: Compiled, name: str) -> int:
    """Return where the first packed weight of a name starts in ``weights.bin``."""
    recipe = Recipe(model=model.model, quant=model.quant, context=model.build.context)
    options = Order.of(recipe).options(model.source.config)
    weights = BACKEND.lower(model.quantized(), options).weights
    (shard,) = place_weights(weights.values(), options.target.alignment_bytes, None)
    return next(offset for key, offset in shard.offsets.items() if key.startswith(name))


def change_byte(bundle: Bundle, offset: int) -> Bundle:
    """Change a byte of the weights, and the hashes with it."""
    weights = bundle.path / WEIGHTS_NAME
    data = bytearray(weights.read_bytes())
    data[offset] ^= 0xFF
    weights.write_bytes(data)
    files = dict(bundle.manifest.files) | {WEIGHTS_NAME: file_entry(weights, "weights")}
    dataclasses.replace(bundle.manifest, files=files).write(bundle.path)
    return Bundle.open(bundle.path, hash_weights=True, only_listed=True)


@pytest.mark.parametrize("quant", ["none", "default", "small", 'activations = "int8"'])
def test_a_fresh_bundle_holds(compiled, quant):
    model = compiled(Build(quant=quant))
    result = verify_against(Bundle.open(model.bundle), model.model)
    assert len(result.cosine) == 32
    assert result.holds


@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.parametrize("quant", ["none", "default", "small"])
def test_one_byte_of_a_weight_is_enough_not_to_hold(compiled, tmp_path, quant, name):
    model = compiled(Build(quant=quant))
    bundle = Bundle.open(shutil.copytree(model.bundle, tmp_path / "bundle"))
    changed = change_byte(bundle, weight_offset(model, name) + 3)
    assert not verify_against(changed, model.model).holds


def test_the_command_says_what_it_found(compiled, tmp_path):
    model, other = compiled(Build()), compiled(Build(shape=SyntheticShape(num_hidden_layers=1)))
    run = CliRunner()
    good = run.invoke(main, ["verify", str(model.bundle), "--against", str(model.model)])
    assert good.exit_code == 0
    assert "It holds." in good.stdout

    changed = shutil.copytree(model.bundle, tmp_path / "bundle")
    change_byte(Bundle.open(changed), weight_offset(model, "lm_head") + 3)
    bad = run.invoke(main, ["verify", str(changed), "--against", str(model.model)])
    assert bad.exit_code == 1
    assert "IT DOES NOT HOLD." in bad.stdout

    another = run.invoke(main, ["verify", str(model.bundle), "--against", str(other.model)])
    assert another.exit_code == 3
    assert "give the checkpoint that it was compiled from" in another.stderr


def test_transformers_as_the_oracle_is_one_comparison_more(compiled, tmp_path):
    model = compiled(Build(quant="default"))
    arguments = ["--against", str(model.model), "--oracle", "transformers"]
    good = CliRunner().invoke(main, ["verify", str(model.bundle), *arguments])
    assert good.exit_code == 0, good.stderr
    assert "against GptOssForCausalLM of transformers" in good.stdout
    assert "against onnxruntime" in good.stdout
    assert good.stdout.count("It holds.") == 2

    changed = shutil.copytree(model.bundle, tmp_path / "bundle")
    change_byte(Bundle.open(changed), weight_offset(model, "lm_head") + 3)
    bad = CliRunner().invoke(main, ["verify", str(changed), *arguments])
    assert bad.exit_code == 1
    assert bad.stdout.index("It holds.") < bad.stdout.index("IT DOES NOT HOLD.")


def test_a_checkpoint_that_is_read_wrongly_does_not_hold(compiled, tmp_path, monkeypatch):
    model = compiled(Build())
    read = decoder.read_rope_parameters
    wrong = dataclasses.replace(model.source.config.rope_parameters, factor=16.0)
    bundle = Bundle.open(shutil.copytree(model.bundle, tmp_path / "bundle"))
    fields = bundle.manifest.model | {"rope_parameters": dataclasses.asdict(wrong)}
    dataclasses.replace(bundle.manifest, model=fields).write(bundle.path)
    monkeypatch.setattr(decoder, "read_rope_parameters", lambda *given: read(*given) and wrong)
    arguments = ["verify", str(bundle.path), "--against", str(model.model)]
    result = CliRunner().invoke(main, [*arguments, "--oracle", "transformers"])
    assert result.exit_code == 1
    assert "reads otherwise: rope_parameters.factor: 32.0, not 16.0" in result.stdout


def test_another_model_is_told_before_anything_is_loaded(compiled, tmp_path, monkeypatch):
    model = compiled(Build())
    other = make_checkpoint(tmp_path, SyntheticShape(num_hidden_layers=1))
    monkeypatch.setattr(verify_reading, "run_transformers", None)
    arguments = ["verify", str(model.bundle), "--against", str(other)]
    result = CliRunner().invoke(main, [*arguments, "--oracle", "transformers"])
    assert result.exit_code == 3
    assert "give the checkpoint that it was compiled from" in result.stderr


def test_a_model_that_is_too_large_for_transformers_has_no_verdict(compiled, monkeypatch):
    model = compiled(Build())
    monkeypatch.setattr(oracle_transformers, "available_bytes", lambda: 10_000_000)
    arguments = ["verify", str(model.bundle), "--against", str(model.model)]
    result = CliRunner().invoke(main, [*arguments, "--oracle", "transformers"])
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].startswith("Error: In float32 this model takes ")


def test_a_context_of_one_token_is_enough(compiled):
    model = compiled(Build(context=1))
    result = verify_against(Bundle.open(model.bundle), model.model)
    assert len(result.cosine) == 1
    assert result.holds


LOGITS = np.array([[1.0, -2.0, 4.0]] * 3, np.float32)
ROUTING = np.array([[[0, 2], [1, 0], [2, 1]]])
"""Of one layer and three tokens."""


def reference(shortfall: float = 0.0) -> ReferenceOutputs:
    """Return a reference that follows ROUTING, and would rather not for the last token."""
    return ReferenceOutputs(
        logits=LOGITS,
        router_indices=ROUTING if shortfall == 0 else np.array([[[2, 0], [0, 1], [2, 3]]]),
        router_shortfall=np.array([[0, 0, shortfall]], np.float32),
    )


@pytest.mark.parametrize(("shortfall", "holds"), [(0.019, True), (0.021, False)])
def test_a_choice_of_experts_may_only_be_worse_by_what_rounding_does(shortfall, holds):
    result = compare(LOGITS, ROUTING, reference(shortfall), "int8x2")
    assert result.same_experts.tolist() == [True, True, False]
    assert result.holds == holds


def test_an_expert_that_is_chosen_twice_does_not_hold():
    twice = np.array([[[0, 2], [1, 1], [2, 1]]])
    assert not compare(LOGITS, twice, reference(), "f32").holds


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_do_not_hold(value):
    logits = LOGITS.copy()
    logits[1, 1] = value
    assert not compare(logits, ROUTING, reference(), "int8").holds


@pytest.mark.parametrize(("change", "holds"), [(1.9e-4, True), (2.1e-4, False)])
def test_a_difference_is_relative_to_the_largest_logit(change, holds):
    logits = LOGITS.copy()
    logits[2, 0] += 4 * change
    assert compare(logits, ROUTING, reference(), "f32").holds == holds
